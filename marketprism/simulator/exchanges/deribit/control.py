"""Deribit's JSON-RPC: requests, answers, errors, and the state of a session."""

import time
from dataclasses import dataclass, field
from typing import Any

import orjson

_CREDITS = 30_000  # that subscribe calls have; each takes 3000, 10,000 a second come back
_CALL = 3_000
_REFILL = 10_000
_SHORTEST = 10  # s between two heartbeats


class RpcError(Exception):
    def __init__(self, code: int, text: str, **data: str) -> None:
        super().__init__(text)
        self.code = code
        self.body = {"code": code, "message": text} | ({"data": data} if data else {})


class TooManyError(RpcError):
    """Also ends the session."""

    def __init__(self) -> None:
        super().__init__(10028, "too_many_requests")


def wrong(param: str, reason: str) -> RpcError:
    return RpcError(-32602, "Invalid params", reason=reason, param=param)


def parsed(text: str) -> dict[str, Any]:
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        request = None
    if not isinstance(request, dict):
        raise RpcError(11050, "bad_request")
    return request


def channels_of(params: dict[str, Any]) -> list[str]:
    """The channels of a request, each once."""
    channels = params.get("channels")
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        raise wrong("channels", "wrong format")
    return list(dict.fromkeys(channels))


def interval_of(params: dict[str, Any]) -> float:
    interval = params.get("interval")
    if not isinstance(interval, int | float) or interval < _SHORTEST:
        raise wrong("interval", "value too low")
    return float(interval)


def micros() -> int:
    return time.time_ns() // 1000


def envelope(outcome: dict[str, Any], came: int) -> dict[str, Any]:
    """What an answer has around its result or error; `came`: when the request did."""
    now = micros()
    return {"jsonrpc": "2.0"} | outcome | {"usIn": came, "usOut": now, "usDiff": now - came, "testnet": False}


def notification(channel: str, data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}


def heartbeat(kind: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}}


@dataclass
class Session:
    """`asked_at`: of the oldest test request that is not answered. 0: none; `interval` 0: no heartbeat."""

    busy_at: float = field(default_factory=time.monotonic)
    interval: float = 0.0
    due: float = 0.0
    asked_at: float = 0.0
    _credits: float = _CREDITS
    _counted_at: float = field(default_factory=time.monotonic)

    def spend(self) -> bool:
        """Pay for one subscribe call, if the credits are enough."""
        now = time.monotonic()
        self._credits = min(_CREDITS, self._credits + (now - self._counted_at) * _REFILL)
        self._counted_at = now
        self._credits -= _CALL
        return self._credits >= 0

    def beat(self, interval: float) -> None:
        """Have a heartbeat each so many seconds from now on."""
        self.interval = interval
        self.due = time.monotonic() + interval
        self.asked_at = 0.0
