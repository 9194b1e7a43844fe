"""How a dead letter repeats bytes that could not be understood."""

import base64

import orjson


def readable(frame: bytes) -> tuple[str, str]:
    """The encoding and the text: `text` as it is, or `base64` of what is no text or would grow more by escapes."""
    try:
        text = frame.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(frame).decode()
    if len(orjson.dumps(text)) > len(frame) * 4 // 3 + 64:
        return "base64", base64.b64encode(frame).decode()
    return "text", text
