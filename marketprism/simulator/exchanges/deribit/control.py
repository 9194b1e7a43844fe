"""Deribit's JSON-RPC: parse requests, build answers and errors, and keep the state of a session."""

import time
from dataclasses import dataclass, field
from typing import Any

from schemas.json_object import json_object

_REFILL = 10_000  # credits per second
_MIN_HEARTBEAT = 10  # s


class RpcError(Exception):
    """An error of JSON-RPC. `body` is the `error` object of the answer."""

    def __init__(self, code: int, text: str, **data: str) -> None:
        super().__init__(text)
        self.code = code
        self.body = {"code": code, "message": text} | ({"data": data} if data else {})


class TooManyRequestsError(RpcError):
    """The error after too many requests, which also ends the session."""

    def __init__(self) -> None:
        super().__init__(10028, "too_many_requests")


def invalid_param(param: str, reason: str) -> RpcError:
    """Return the error for a parameter with an invalid value."""
    return RpcError(-32602, "Invalid params", reason=reason, param=param)


def parse_request(text: str) -> dict[str, Any]:
    """Return a request as an object; raise `RpcError`."""
    request = json_object(text)
    if request is None:
        raise RpcError(11050, "bad_request")
    return request


def channels_of(params: dict[str, Any]) -> list[str]:
    """Return the channels of a request without duplicates; raise `RpcError`."""
    channels = params.get("channels")
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        raise invalid_param("channels", "wrong format")
    return list(dict.fromkeys(channels))


def interval_of(params: dict[str, Any]) -> float:
    """Return the heartbeat interval of a request, in seconds; raise `RpcError`."""
    interval = params.get("interval")
    if not isinstance(interval, int | float) or interval < _MIN_HEARTBEAT:
        raise invalid_param("interval", "value too low")
    return float(interval)


def now_us() -> int:
    """Return the time in µs since the epoch."""
    return time.time_ns() // 1000


def envelope(outcome: dict[str, Any], received_at: int) -> dict[str, Any]:
    """Return the answer with a result or an error; `received_at`: time of the request, µs."""
    now = now_us()
    times = {"usIn": received_at, "usOut": now, "usDiff": now - received_at}
    return {"jsonrpc": "2.0"} | outcome | times | {"testnet": False}


class Credits:
    """A pool of credits that refills steadily, of which each call spends `cost`."""

    def __init__(self, cost: int, size: int) -> None:
        self._cost, self._size = cost, size
        self._left = float(size)
        self._counted_at = time.monotonic()

    def spend(self) -> bool:
        """Pay for one call, and return whether there were enough credits."""
        now = time.monotonic()
        self._left = min(self._size, self._left + (now - self._counted_at) * _REFILL)
        self._counted_at = now
        if self._left < self._cost:
            return False
        self._left -= self._cost
        return True


def subscribe_credits() -> Credits:
    """Return the credits for a session's calls of `public/subscribe`."""
    return Credits(3_000, 30_000)


class RestCredits:
    """The credits for REST requests, which are counted by address."""

    def __init__(self) -> None:
        self._usual = Credits(500, 50_000)
        self._by_method = {"public/get_instruments": Credits(10_000, 500_000)}

    def spend(self, method: str) -> bool:
        """Pay for one request, and return whether there were enough credits."""
        return self._by_method.get(method, self._usual).spend()


@dataclass
class Session:
    """State of one connection: its heartbeat and the credits for subscribe calls.

    `interval`: seconds between heartbeats, 0 without. `test_sent_at`: when the oldest unanswered test request was
    sent, 0 if there is none.
    """

    active_at: float = field(default_factory=time.monotonic)
    interval: float = 0.0
    due: float = 0.0
    test_sent_at: float = 0.0
    credits: Credits = field(default_factory=subscribe_credits)

    def set_heartbeat(self, interval: float) -> None:
        """Send a heartbeat every `interval` seconds from now on; 0 stops it."""
        self.interval = interval
        self.due = time.monotonic() + interval
        self.test_sent_at = 0.0
