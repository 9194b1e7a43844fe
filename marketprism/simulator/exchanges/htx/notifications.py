"""HTX's dialect of the notification socket: requests with an `op`, answered with a numeric error code."""

from typing import Any

from schemas.json_object import json_object

TOO_MANY = (2004, "Too many requests.")
BAD_TOPIC = (2010, "Topic error.")
UNKNOWN_CONTRACT = (2011, "Contract doesn't exist.")
NOT_SUBSCRIBED = (2012, "Topic not subscribed.")
REPEATED = (2014, "Can't subscribe the same topic repeatedly.")
_OPERATIONS = ("sub", "unsub", "pong", "ping")


class TopicError(Exception):
    """A rejected topic, with the code of HTX's answer."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def parse_operation(text: str) -> dict[str, Any] | None:
    """Return a request with a known `op`; None for anything else."""
    request = json_object(text)
    return request if request is not None and request.get("op") in _OPERATIONS else None


def answer(request: dict[str, Any], now: int, error: TopicError | None = None) -> dict[str, Any]:
    """Return the answer to a `sub` or `unsub`, with code 0 unless there was an error."""
    repeated = {name: request[name] for name in ("op", "cid", "topic") if name in request}
    code = {"err-code": 0} if error is None else {"err-code": error.code, "err-msg": str(error)}
    return repeated | {"ts": now} | code
