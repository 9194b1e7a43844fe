"""The body of a dead letter: bytes that could not be processed, and the reason."""

import base64
from typing import Any

import orjson

from schemas.limits import MAX_DEAD_FRAME


def dead_letter(
    exchange: str,
    symbol: str,
    local_timestamp: int,
    topic: str,
    reason: str,
    frame: bytes,
    most: int = MAX_DEAD_FRAME,
) -> dict[str, Any]:
    """Return an event of `dead_letters` without its source. `local_timestamp`: µs; `most`: bytes of the frame kept."""
    encoding, text = _readable(frame[:most])
    return {
        "exchange": exchange,
        "symbol": symbol,
        "local_timestamp": local_timestamp,
        "topic": topic,
        "reason": reason,
        "encoding": encoding,
        "frame": text,
        "frame_bytes": len(frame),
    }


def _readable(frame: bytes) -> tuple[str, str]:
    """Return the encoding and the frame: as `text`, or `base64` where escapes would make the text larger."""
    try:
        text = frame.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(frame).decode()
    if len(orjson.dumps(text)) > len(frame) * 4 // 3 + 64:
        return "base64", base64.b64encode(frame).decode()
    return "text", text
