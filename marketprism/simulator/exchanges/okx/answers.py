"""The envelope of OKX's REST answers, and errors about parameters (docs/protocols/okx.md §3.6)."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from marketprism.simulator.server.exchange_server import json_response


class Rejected(Exception):
    """An invalid request, with the code of OKX's answer."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def whole_number(query: Mapping[str, str], name: str, most: int, default: int | None = None) -> int:
    """Return a parameter that is a number of rows; its default is the maximum. Raise `Rejected`."""
    text = query.get(name, str(default or most))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Rejected("51000", f"Parameter {name} error")
    return int(text)


def bound(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a parameter that is a time or an id; raise `Rejected`."""
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise Rejected("51000", f"Parameter {name} error")
    return int(text)


def answer(rows: list[Any]) -> web.Response:
    """Return an answer with rows."""
    return json_response({"code": "0", "msg": "", "data": rows})


def error_answer(code: str, text: str, status: int = 400) -> web.Response:
    """Return an answer that is an error."""
    return json_response({"code": code, "msg": text, "data": []}, status)
