"""Recorded trades of many instruments, which workers receive at the pace at which the exchange sent them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from aiokafka import AIOKafkaProducer

from bench.rigs.frames import Frame
from bench.rigs.many_instruments import bases
from schemas.keys import EVERY, key_of, split_key
from schemas.markers import Tick
from schemas.raw import encode_line, encode_marker

TRADE = b'@trade"'
HEAD = 60  # bytes of a frame that hold its stream's name
SECOND = 1_000_000_000  # ns
_LINGER = 0.005  # s, as of ingest
_APART = 1_300_000  # ns between the copies of a trade


def trades_of(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames of trades."""
    return [frame for frame in frames if TRADE in frame[2][:HEAD]]


def tick(at: int) -> bytes:
    """Return a tick. `at`: ns since the epoch."""
    return encode_marker(at, key_of("binance", EVERY), Tick(feeds=[]))


def copied(trades: Sequence[Frame], copies: int, seconds: float) -> list[Frame]:
    """Return the first `seconds` of the trades, with each instrument copied under other names, sorted by receipt."""
    names, until = bases(copies), trades[0][0] + seconds * SECOND
    return sorted(
        (stamp + number * _APART, key_of("binance", f"{name}{symbol}"), _renamed(frame, symbol.split("-")[0], name))
        for stamp, key, frame in trades
        if stamp < until
        for number, name in enumerate(names)
        for symbol in [split_key(key)[1]]
    )


def _renamed(frame: bytes, base: str, name: str) -> bytes:
    renamed = frame.replace(base.encode(), f"{name}{base}".encode())
    return renamed.replace(base.lower().encode(), f"{name}{base}".lower().encode())


async def send_paced(
    kafka: str, topics: Sequence[str], trades: Sequence[Frame], warm_up_s: float, on_warm: Callable[[], None]
) -> None:
    """Send the same records to partition 0 of all topics, with ticks. `on_warm` is called after the warm-up.

    Lines keep the recorded times, by which a worker goes.
    """
    first, begin, is_warm = trades[0][0], time.monotonic(), False
    lines = deque(lines_of(trades))
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        while lines:
            passed, due = time.monotonic() - begin, []
            while lines and lines[0][0] - first <= passed * SECOND:
                due.append(lines.popleft()[1])
            if not is_warm and passed >= warm_up_s:
                is_warm = True
                on_warm()
            for topic in topics if due else ():
                await producer.send(topic, b"".join(due), partition=0)
            await asyncio.sleep(_LINGER)


def lines_of(trades: Sequence[Frame]) -> Iterator[tuple[int, bytes]]:
    """Yield receipt and line of the trades, and of a tick every second."""
    due = trades[0][0]
    for stamp, key, frame in trades:
        while due <= stamp:
            yield due, tick(due)
            due += SECOND
        yield stamp, encode_line(stamp, key, frame)
