"""Follow the event topics into a `Market`: what they hold of the recent past, and then what arrives."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import structlog

from marketprism.api.records import Record, decoders
from marketprism.client.kinds import BOOK_LOOKBACK
from marketprism.client.reader import Reader
from marketprism.client.selection import Instruments
from marketprism.client.span import Span
from schemas.errors import MarketPrismError
from schemas.events import TABLES
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_RETRY = 1.0  # s
_GATHER_MS = 20  # less than half a frame
_BUSY = {"quotes", "books"}  # the others' events are few, and each is fetched at once

# How far back each table is read at the start, µs. Values that change seldom are repeated or kept for long.
_LOOKBACK: dict[str, int] = {
    "instruments": 365 * 24 * _HOUR,
    "gaps": 7 * 24 * _HOUR,  # they are few, and some stay open for days
    "signals": 6 * _HOUR,
    "dead_letters": _HOUR,
    "liquidations": _HOUR,
    "long_short_ratios": _HOUR,
    "funding": _HOUR // 4,
    "open_interest": _HOUR // 4,
    "books": BOOK_LOOKBACK,
    "candles": BOOK_LOOKBACK,
    "quality": BOOK_LOOKBACK,
    "status": BOOK_LOOKBACK,
}
_OTHERS = 10 * _SECOND


class Follower:
    """Reader of all event topics. `is_current`: everything that they held at the start was applied."""

    def __init__(self, settings: Settings, apply: Callable[[Record], None]) -> None:
        self._settings = settings
        self._apply = apply
        self._groups = _groups()
        self._left = set(self._groups)  # groups that were not read to their end yet
        self.is_current = False
        self._reported = ""  # the last failure

    async def run(self) -> None:
        """Follow until cancelled. Without a broker or topics, try again."""
        async with asyncio.TaskGroup() as tasks:
            for lookback, tables in self._groups.items():
                tasks.create_task(self._follow(lookback, tables), name=f"follow {', '.join(tables)}")

    async def _follow(self, lookback: int, tables: tuple[str, ...]) -> None:
        gather_ms = 0 if _BUSY.isdisjoint(tables) else _GATHER_MS
        reader = Reader[Record](self._settings, decoders(tables), _EveryKey(), Span(), lookback, gather_ms)
        while True:
            try:
                await self._read(reader, lookback)
            except MarketPrismError as error:
                if str(error) != self._reported:
                    log.warning("cannot read the topics, trying again", reason=str(error))
                self._reported = str(error)
            except Exception as error:  # one table must not take the others down
                log.error("cannot follow topics, trying again", tables=list(tables), reason=error, exc_info=True)
            await asyncio.sleep(_RETRY)

    async def _read(self, reader: Reader[Record], lookback: int) -> None:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for record in batch:
                    self._take(record)
                if reader.is_current and lookback in self._left:
                    self._left.discard(lookback)
                    self.is_current = not self._left
                await asyncio.sleep(0)  # requests get their turn

    def _take(self, record: Record) -> None:
        try:
            self._apply(record)
        except Exception as error:  # one event must not take the others down
            log.error("cannot apply an event, left out", source=record.source, reason=error, exc_info=True)


class _EveryKey(Instruments):
    """All keys: also those of signals, which have no exchange, and of dead letters without an instrument."""

    def __init__(self) -> None:
        super().__init__("exchange:symbol or exchange:currency", (), ())

    def __contains__(self, key: bytes) -> bool:
        return True


def _groups() -> dict[int, tuple[str, ...]]:
    """Return the tables that are read together, by their lookback."""
    groups: dict[int, tuple[str, ...]] = {}
    for table in TABLES.values():
        lookback = _LOOKBACK.get(table, _OTHERS)
        groups[lookback] = (*groups.get(lookback, ()), table)
    return groups
