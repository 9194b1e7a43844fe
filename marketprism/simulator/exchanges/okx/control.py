"""OKX's control messages: what is a request, and what is wrong with one that is not."""

from typing import Any

import orjson


class ControlError(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def no_such(arg: dict[str, Any]) -> ControlError:
    text = f"Wrong URL or channel:{arg['channel']},instId:{arg.get('instId', '')} doesn't exist. "
    return ControlError("60018", text + "Please use the correct URL, channel and parameters referring to API document.")


def parsed(text: str) -> dict[str, Any]:
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ControlError("60012", f"Invalid request: {text}") from None
    if not isinstance(request, dict) or "op" not in request or not isinstance(request.get("args"), list):
        raise ControlError("60012", f"Invalid request: {text}")
    if request["op"] not in ("subscribe", "unsubscribe"):
        raise ControlError("60019", f"Invalid OP: {request['op']}")
    if not request["args"]:
        raise ControlError("60013", "Invalid args")
    return request
