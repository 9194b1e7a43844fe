"""Probe one feed: its listing and clock, one request of each poll, and all channels of one instrument of each kind."""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from ingest.clock import compare_clock
from ingest.exchanges import CONNECTORS
from ingest.exchanges.base import Connector
from ingest.hosts import Hosts
from ingest.rest import Rest, RestPool
from ingest.supervision import describe_error
from ingest.timings import DEFAULT_TIMINGS
from marketprism.probe.book_check import BookCheck
from marketprism.probe.cell import CLOCK, LISTING, SNAPSHOT, WORST, Cell, Failure, Result, Verdict, as_dict
from marketprism.probe.choice import choose, to_be_listed
from marketprism.probe.expected import shapes_of
from marketprism.probe.failures import RestHealth
from marketprism.probe.polls import PollOnce, polls_of, run_polls
from marketprism.probe.recorder import Recorder
from marketprism.probe.sockets import Sockets
from schemas.errors import ExchangeError
from schemas.instruments import Instrument
from schemas.settings import Settings

_ANSWERED_WITHIN = 30.0  # s
_TICK = 1.0  # s of stream time
T = TypeVar("T")


class FeedProbe:
    """Probe of one feed. `state`: what it does now. `instruments`: those that were chosen."""

    def __init__(self, name: str, settings: Settings, seconds: float, pool: RestPool) -> None:
        """`seconds`: how long the channels are listened to."""
        channels = CONNECTORS[name].channels.keys() | CONNECTORS[name].polls.keys()
        self.name = name
        self.state = "waiting"
        self.instruments: list[Instrument] = []
        self._connector: Connector = CONNECTORS[name]((), settings.depth, channels, settings.variants_of(name))
        self._settings = settings
        self._seconds = seconds
        self._health = RestHealth()
        self._hosts = Hosts(self._connector, settings, DEFAULT_TIMINGS, lambda marker: None)
        self._rest = Rest(name, self._hosts.rest, self._connector.limits, pool, self._health.mark)
        self._listing, self._clock = (Cell(name, channel, is_request=True) for channel in (LISTING, CLOCK))
        self._ended_at = 0.0
        self._polls: list[PollOnce] = []
        self._recorder: Recorder | None = None

    @property
    def cells(self) -> list[Cell]:
        """All cells so far."""
        channels = self._recorder.cells.values() if self._recorder else ()
        return [self._listing, self._clock, *channels, *(poll.cell for poll in self._polls)]

    async def run(self) -> None:
        """Observe for the given time, once the listing has been read. An error of ours costs only this feed."""
        self.state = "reading the listing"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._compare_clock())
                self.instruments = await self._read_listing()
                if self.instruments:
                    await self._observe()
        except Exception as error:  # noqa: BLE001 - the other feeds go on
            self._listing.failure = Failure(f"internal error: {describe_error(error)}", changed=False)
        finally:
            self._ended_at, self.state = self._ended_at or time.monotonic(), "done"

    def verdict_of(self, cell: Cell) -> Verdict:
        """Return the verdict on a cell as of now, or of the end."""
        return cell.verdict(self._ended_at or time.monotonic())

    @property
    def result(self) -> Result:
        """The worst verdict of all cells."""
        results = {self.verdict_of(cell).result for cell in self.cells}
        return next(each for each in WORST if each in results)

    @property
    def clock_offset(self) -> int | None:
        """The exchange's clock minus ours, µs; None if it is not known."""
        return self._clock.clock_offset

    def as_dict(self) -> dict[str, Any]:
        """Return the results as they are printed as JSON."""
        return {
            "feed": self.name,
            "verdict": self.result,
            "clock_offset": self.clock_offset,
            "symbols": [instrument.symbol for instrument in self.instruments],
            "cells": [as_dict(cell, self.verdict_of(cell)) for cell in self.cells],
        }

    async def _compare_clock(self) -> None:
        clock = await self._ask(self._clock, compare_clock(self._connector, self._rest))
        self._clock.clock_offset = clock.offset if clock else None

    async def _read_listing(self) -> list[Instrument]:
        """Return the instruments to probe; none if the listing cannot be read."""
        selection = self._settings.selection_of(self.name)
        listing = await self._ask(self._listing, self._connector.instruments(self._rest, to_be_listed(selection)))
        if listing is None:
            return []
        chosen = choose(listing.values(), selection)
        if not chosen:
            reason = f"none of its {listing.sizes.total():,} entries is an instrument that is traded"
            self._listing.failure = Failure(reason, changed=True)
        return chosen

    async def _ask(self, cell: Cell, request: Awaitable[T]) -> T | None:
        """Return the answer to a request; None if there is none, which the cell tells."""
        cell.asked_at = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN):
                answer = await request
        except ExchangeError as error:
            cell.failure = self._health.failure_of(error)
        except TimeoutError:
            cell.failure = self._health.timeout(_ANSWERED_WITHIN)
        else:
            cell.on_answer(time.monotonic())
            return answer
        return None

    async def _observe(self) -> None:
        self._polls = [*polls_of(self._connector, self.instruments)]
        self._recorder = recorder = Recorder(self._connector, self._settings, self._channel_cells())
        sockets = Sockets(
            self._connector, self._hosts.sockets, self.instruments, self._rest, self._health, recorder, self._settings
        )
        recorder.on_snapshot_needed = sockets.request_snapshot
        self.state = "listening"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds), asyncio.TaskGroup() as tasks:
                tasks.create_task(sockets.run())
                tasks.create_task(run_polls(self._polls, self._rest, self._health))
                while True:
                    await asyncio.sleep(_TICK)
                    recorder.tick()
        self._ended_at = time.monotonic()

    def _channel_cells(self) -> Iterator[tuple[Instrument, Cell]]:
        connector = self._connector
        for instrument in self.instruments:
            for path in connector.paths:
                for channel in connector.channels_of(instrument.kind, path):
                    cell = self._cell(channel, instrument)
                    cell.book = BookCheck() if channel == "books" else None
                    yield instrument, cell
            if connector.snapshots != "stream":
                cell = self._cell(SNAPSHOT, instrument)
                cell.is_request = True
                yield instrument, cell

    def _cell(self, channel: str, instrument: Instrument) -> Cell:
        variant = self._connector.variant_of(channel)
        return Cell(
            self.name, channel, instrument.symbol, instrument.kind, shapes=shapes_of(self.name, channel, variant)
        )
