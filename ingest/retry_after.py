"""Read from a rejection's status, headers and body how long the exchange wants us to wait."""

import asyncio
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from websockets.exceptions import InvalidStatus

from schemas.json_object import json_object

LONGEST = 3 * 86_400.0  # s: the longest ban that an exchange documents
_SHORTEST = 1.0
_DEFAULTS = {403: 300.0, 418: 120.0}  # s, if no time is stated; a web application firewall counts over 5 minutes
_DEFAULT = 60.0
_REJECTIONS = frozenset({403, 418, 429})
# "Too many requests" comes with HTTP 200 or 400 as well. OKX, Deribit and HTX; their codes do not collide.
_CODES = frozenset({"50011", "50013", "50040", "50061", "10028", "1032", "too-many-requests", "too-many-request"})
_ERROR_SIZE = 4096  # bytes: a longer body is not an error
_UNTIL = re.compile(rb"until\D{0,20}(\d{10,16})(?!\d)")
_MARGIN = 0.5  # s added to a stated moment, as we know the exchange's clock only roughly


def requested_wait(status: int, headers: Mapping[str, str], body: bytes, now: float | None = None) -> float | None:
    """Return the seconds to wait if this answer says that there were too many requests, else None.

    `now`: s since the epoch.
    """
    error = _error(body)
    if status not in _REJECTIONS and not (_codes(error) & _CODES):
        return None
    # If the answer states the exchange's time, the end of a ban is compared with that: our clock may be wrong.
    here = exchange_time(headers, now)
    stated = [seconds for seconds in _stated_waits(headers, error, body, here) if seconds is not None]
    if not stated:
        return _DEFAULTS.get(status, _DEFAULT)
    return min(max(*stated, _SHORTEST), LONGEST)


def exchange_time(headers: Mapping[str, str], now: float | None = None) -> float:
    """Return the time that an answer states, s since the epoch; if it states none, ours (`now`)."""
    return _date(headers.get("Date", "")) or (time.time() if now is None else now)


def handshake_wait(error: InvalidStatus) -> float:
    """Return the seconds to wait after a rejected WebSocket handshake; 0 if no wait was requested."""
    answer = error.response
    return requested_wait(answer.status_code, dict(answer.headers.raw_items()), bytes(answer.body or b"")) or 0.0


class Gate:
    """Gate that holds back all requests until the wait that an exchange requested is over."""

    def __init__(self) -> None:
        self._opens_at = 0.0  # monotonic

    def close(self, seconds: float) -> None:
        """Close for at least the given seconds."""
        self._opens_at = max(self._opens_at, time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds until it opens."""
        return max(self._opens_at - time.monotonic(), 0.0)

    @property
    def closed(self) -> bool:
        return self.remaining > 0

    async def wait_until_open(self) -> None:
        """Wait until it is open, even if it is closed again in the meantime."""
        while self.closed:
            await asyncio.sleep(self.remaining)


def _stated_waits(headers: Mapping[str, str], error: dict[str, Any], body: bytes, now: float) -> list[float | None]:
    """Return the seconds of everything that states an end, of which the latest counts."""
    names = [name for name in headers if name.lower().endswith("retry-after")]  # X-MBX-…-RETRY-AFTER as well
    data = error.get("data")
    inner = data if type(data) is dict else {}
    until = _UNTIL.search(body[:_ERROR_SIZE])
    return [
        *(_seconds(headers[name], now) for name in names),
        _seconds(until[1].decode(), now) if until else None,
        *(_seconds(holder.get(name), now) for holder in (error, inner) for name in ("retryAfter", "retry_after")),
        _seconds(inner.get("wait"), now),
    ]


def _seconds(value: Any, now: float) -> float | None:
    """Return the seconds from `now`, or None if the value cannot be read.

    It is a number of seconds, a moment (epoch s, ms or µs), or an HTTP date.
    """
    if type(value) not in (int, float, str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        date = _date(str(value))
        return date - now + _MARGIN if date else None
    if not isfinite(number) or number < 0:
        return None
    for unit in (1e6, 1e3, 1.0):
        if number / unit > 1e9:
            return number / unit - now + _MARGIN
    return number


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text.strip()).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _error(body: bytes) -> dict[str, Any]:
    """Return the error in a short JSON body. Deribit's, and Binance's newer ones, are one level deeper."""
    if len(body) > _ERROR_SIZE:
        return {}
    found = json_object(body) or {}
    return found["error"] if type(found.get("error")) is dict else found


def _codes(error: dict[str, Any]) -> set[str]:
    return {str(error.get(name)) for name in ("code", "err_code", "err-code")}
