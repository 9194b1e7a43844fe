"""Parse OKX's control messages, and reject invalid ones with OKX's error codes."""

from typing import Any

from schemas.json_object import json_object


class ControlError(Exception):
    """An invalid control message or argument, with the code of OKX's answer."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def unknown_channel(arg: dict[str, Any]) -> ControlError:
    """Return the error for a channel or instrument that the path does not serve."""
    text = f"Wrong URL or channel:{arg['channel']},instId:{arg.get('instId', '')} doesn't exist. "
    return ControlError("60018", text + "Please use the correct URL, channel and parameters referring to API document.")


def subject_of(arg: dict[str, Any]) -> str:
    """Return what an argument is about: an instrument or index, a type of instruments, or a family of one type."""
    match arg:
        case {"channel": "opt-summary", "instFamily": str(family)}:
            return f"OPTION {family}"
        case {"channel": "estimated-price", "instType": str(kind), "instFamily": str(family)}:
            return f"{kind} {family}"
        case {"channel": "liquidation-orders", "instType": str(kind)}:
            return kind
    return str(arg.get("instId", ""))


def parse_request(text: str) -> dict[str, Any]:
    """Return a control message as an object with a known operation and arguments; raise `ControlError`."""
    request = json_object(text)
    if request is None or "op" not in request or not isinstance(request.get("args"), list):
        raise ControlError("60012", f"Invalid request: {text}")
    if request["op"] not in ("subscribe", "unsubscribe"):
        raise ControlError("60019", f"Invalid OP: {request['op']}")
    if not request["args"]:
        raise ControlError("60013", "Invalid args")
    return request
