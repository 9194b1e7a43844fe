"""Run ingest, and read the raw topics back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson

from ingest.app import ingest
from ingest.timings import DEFAULT_TIMINGS, Timings
from marketprism.ops.topics import read_all
from schemas.markers import MARKER
from schemas.raw import RawLine, decode_record
from schemas.settings import Settings
from schemas.topics import raw_topic


async def read_records(settings: Settings, exchange: str) -> dict[int, list[tuple[int, bytes]]]:
    """Read a whole raw topic. Return offsets and values by partition."""
    found = await read_all(settings, raw_topic(exchange))
    return {number: [(record.offset, record.value) for record in records] for number, records in found.items()}


async def read_lines(settings: Settings, exchange: str) -> dict[str, list[RawLine]]:
    """Read a whole raw topic. Return its lines by key, in order."""
    found: dict[str, list[RawLine]] = {}
    for records in (await read_records(settings, exchange)).values():
        for _, value in records:
            for line in decode_record(value):
                found.setdefault(line.key, []).append(line)
    return found


def kinds(lines: list[RawLine]) -> list[str]:
    """Return the kind of each line: a marker's type, `snapshot` (REST), or `frame`."""
    return [_kind(line.frame) for line in lines]


def _kind(frame: bytes) -> str:
    if frame.startswith(MARKER):
        return str(orjson.loads(frame)["marketprism"])
    return "snapshot" if frame.startswith(b'{"lastUpdateId"') else "frame"


async def until(settings: Settings, exchange: str, key: str, enough: Callable[[list[str]], bool]) -> list[RawLine]:
    """Wait until `enough(kinds)` holds for an instrument's lines, and return them."""
    deadline = time.monotonic() + 20
    while True:
        lines = (await read_lines(settings, exchange)).get(key, [])
        if enough(kinds(lines)):
            return lines
        assert time.monotonic() < deadline, f"{key} has {kinds(lines)[-20:]}"
        await asyncio.sleep(0.2)


@asynccontextmanager
async def ingesting(settings: Settings, *feeds: str, timings: Timings = DEFAULT_TIMINGS) -> AsyncIterator[None]:
    """Ingest these feeds for as long as the block lasts."""
    task = asyncio.create_task(ingest(settings, feeds, timings))
    try:
        yield
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


def is_flowing(found: list[str]) -> bool:
    """Whether these kinds contain more than 20 frames."""
    return found.count("frame") > 20
