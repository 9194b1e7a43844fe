"""The parameters of Binance's REST requests, and the errors about them (docs/protocols/binance.md §1.6)."""

from aiohttp import web

MISSING, INVALID, NO_SYMBOL, NO_INTERVAL = -1102, -1130, -1121, -1120


class RejectedRequest(Exception):
    """A request is invalid; the code of Binance's answer and the name of the parameter, if it is one's fault."""

    def __init__(self, code: int, parameter: str = "") -> None:
        super().__init__(parameter)
        self.code = code

    def __str__(self) -> str:
        return {
            MISSING: f"Mandatory parameter '{self.args[0]}' was not sent, was empty/null, or malformed.",
            INVALID: f"Data sent for parameter '{self.args[0]}' is not valid.",
            NO_INTERVAL: "Invalid interval.",
        }.get(self.code, "Invalid symbol.")


def parameter(request: web.Request, name: str) -> str:
    """Return a parameter that is required; raise `RejectedRequest`."""
    if not request.query.get(name):
        raise RejectedRequest(MISSING, name)
    return request.query[name]


def number(request: web.Request, name: str, default: int, most: int | None = None) -> int:
    """Return a parameter that is a whole number, of 1 to `most` if that is given; raise `RejectedRequest`."""
    text = request.query.get(name, str(default))
    if not text.isdigit() or (most is not None and not 1 <= int(text) <= most):
        raise RejectedRequest(INVALID, name)
    return int(text)
