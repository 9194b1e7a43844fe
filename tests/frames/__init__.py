"""Frames as the exchanges send them, one module per exchange, and the raw lines that hold them."""

from typing import Any

import orjson

from schemas.raw import encode_line

T0 = 1_790_000_000_000_000_000  # ns since the epoch, when every test begins
MS = T0 // 1_000_000

Levels = list[list[str]]


def dumps(body: Any) -> bytes:
    return orjson.dumps(body)


def line(key: str, frame: bytes, millis: float = 0) -> bytes:
    """Return a frame as a raw line, received `millis` ms after the start."""
    return encode_line(T0 + int(millis * 1e6), key, frame)


def marker(key: str, kind: str, millis: float = 0, /, **fields: Any) -> bytes:
    """Return a marker with any fields as a raw line. It may be malformed."""
    return b"%d\t%s\t%s\n" % (T0 + int(millis * 1e6), key.encode(), dumps({"marketprism": kind} | fields))


def tick(exchange: str, millis: float) -> bytes:
    """Return a tick as a replay writes it, which names no feeds."""
    return marker(f"{exchange}:*", "tick", millis)
