r"""Lines of the topic `join.quotes`, which the books agent writes and the join reads.

    <book state>\t<market.quotes event>                                                a quote
    <book state>\t{"source","exchange","symbol","local_timestamp"}                      its book has left the live state
    tick\t<exchange>\t<raw partition>\t<µs>                                          a second of stream time

A book's state is `waiting`, `live` or `stale`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import orjson
from msgspec import Raw, Struct

TICK = b"tick"
STATES = {b"live": "live", b"waiting": "waiting", b"stale": "stale"}


class QuoteLine(Struct, gc=False):
    """A `market.quotes` event, its levels undecoded; without `origin`, notice that a book has left the live state."""

    source: str
    exchange: str
    symbol: str
    local_timestamp: int
    timestamp: int = 0
    origin: str = ""
    sequence: int = 0
    bids: Raw = Raw(b"[]")
    asks: Raw = Raw(b"[]")


decode_quote = msgspec.json.Decoder(QuoteLine).decode


class TickLine(NamedTuple):
    """Stream time of one raw partition, µs."""

    exchange: str
    partition: int
    time: int


def quote_line(state: str, event: bytes) -> bytes:
    """Encode a quote with the state of its exchange's book."""
    return state.encode() + b"\t" + event


def not_live_line(state: str, source: str, exchange: str, symbol: str, now: int) -> bytes:
    """Encode the notice that a book has left the live state."""
    notice = {"source": source, "exchange": exchange, "symbol": symbol, "local_timestamp": now}
    return quote_line(state, orjson.dumps(notice))


def tick_line(exchange: str, partition: int, now: int) -> bytes:
    """Encode a tick of a raw partition."""
    return b"%b\t%b\t%d\t%d" % (TICK, exchange.encode(), partition, now)


def decode_tick(body: bytes) -> TickLine:
    """Decode a tick, without its first word. Raises `ValueError` on anything else."""
    exchange, partition, time = body.decode().split("\t")
    return TickLine(exchange, int(partition), int(time))


def in_records(lines: list[bytes], most: int) -> Iterator[bytes]:
    """Join lines into as few records of up to `most` bytes as possible; a longer line gets a record of its own."""
    first = size = 0
    for number, line in enumerate(lines):
        if size and size + len(line) > most:
            yield b"\n".join(lines[first:number])
            first, size = number, 0
        size += len(line) + 1
    yield b"\n".join(lines[first:])
