"""Every feed under every fault: seen, told and mended, other books untouched, all of them true afterwards.

A fault strikes one instrument of each feed at once, on one pipeline that lives through all of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from ingest.exchanges import CONNECTORS
from ingest.timings import Timings
from marketprism.local.broker import Broker
from marketprism.ops.topics import create_topics
from marketprism.simulator import (
    Crossed,
    Disconnect,
    Duplicate,
    Gap,
    Heartbeat,
    Maintenance,
    Malformed,
    Mute,
    RateLimit,
    Refuse,
    Reorder,
    Restart,
    Shutdown,
    Silent,
    Simulators,
    Stall,
    WrongClock,
)
from marketprism.simulator.market.listings import LISTINGS
from marketprism.simulator.plans import Plan
from schemas.feeds import FEEDS
from schemas.raw import UNKNOWN
from schemas.settings import load_settings
from tests.e2e.in_process import Lab

_WITHIN = 25.0  # s for a fault to be over
_BOOKS = {feed: [each.symbol for each in LISTINGS if each.feed == feed] for feed in FEEDS}
_BINANCE = ("binance-spot", "binance-usdm")


def key_of(feed: str, symbol: str) -> str:
    return f"{FEEDS[feed].exchange}:{symbol}"


class Told(NamedTuple):
    """What was told of one instrument since a fault was planted."""

    lab: Lab
    key: str
    since: int

    def gap(self, *causes: str) -> bool:
        """A gap for one of these causes was opened, and closed again."""
        gaps = self.lab.told("market.gaps", self.key, self.since)
        opened = {gap["id"] for gap in gaps if gap["type"] == "opened" and gap["cause"] in causes}
        return bool(opened & {gap["id"] for gap in gaps if gap["type"] == "closed"})

    def status(self, kind: str, channel: str = "", reason: str = "") -> bool:
        return any(
            status["type"] == kind and reason in status["reason"] and (not channel or channel in status["channels"])
            for status in self.lab.told("market.status", self.key, self.since)
        )

    def repeated(self) -> bool:
        return any(status["repeated"] for status in self.lab.told("market.status", self.key, self.since))

    def rubbish(self) -> bool:
        """One dead letter, of the instrument or, where the frame does not name it, of the exchange."""
        unknown = self.key.partition(":")[0] + ":" + UNKNOWN
        return sum(len(self.lab.told("dead_letters", key, self.since)) for key in (self.key, unknown)) == 1

    def lost(self) -> bool:
        return self.gap("disconnected") and self.status("disconnected") and self.status("connected")


class Fault(NamedTuple):
    """`alone`: no other instrument may notice."""

    plans: Callable[[str, str], list[Plan]]
    told: Callable[[Told], bool]
    alone: bool = True
    feeds: tuple[str, ...] = tuple(FEEDS)


def again(plan: Plan, feed: str) -> list[Plan]:
    """With what makes the client subscribe."""
    return [plan, Disconnect(feed=feed)]


FAULTS: dict[str, Fault] = {
    "gap": Fault(lambda f, s: [Gap(feed=f, symbol=s, count=2)], lambda told: told.gap("sequence")),
    "duplicate": Fault(lambda f, s: [Duplicate(feed=f, symbol=s)], Told.repeated),
    "reorder": Fault(lambda f, s: [Reorder(feed=f, symbol=s)], lambda told: told.gap("sequence")),
    "crossed book": Fault(lambda f, s: [Crossed(feed=f, symbol=s)], lambda told: told.gap("crossed")),
    "sequence starts over": Fault(
        lambda f, s: [Restart(feed=f, symbol=s, hard=True)], lambda told: told.gap("sequence", "restarted")
    ),
    "truncated frame": Fault(
        lambda f, s: [Malformed(feed=f, symbol=s, form="truncated")],
        lambda told: told.rubbish() and told.gap("sequence"),
    ),
    "wrong types": Fault(
        lambda f, s: [Malformed(feed=f, symbol=s, form="wrong_types")],
        lambda told: told.rubbish() and told.gap("sequence"),
    ),
    "negative amount": Fault(
        lambda f, s: [Malformed(feed=f, symbol=s, form="negative")],
        lambda told: told.rubbish() and told.gap("sequence"),
    ),
    "unknown channel": Fault(lambda f, s: [Malformed(feed=f, symbol=s, form="unknown_channel")], Told.rubbish),
    "silent book": Fault(
        lambda f, s: [Silent(feed=f, symbol=s, channel="books")],
        lambda told: told.status("silent", "books", "resubscribe") and told.status("resumed", "books"),
    ),
    "silent until reconnected": Fault(
        lambda f, s: [Silent(feed=f, symbol=s, channel="quotes", until="reconnect")],
        lambda told: (
            told.status("silent", "quotes", "reconnect") and told.status("renewed") and told.status("resumed", "quotes")
        ),
    ),
    "stall": Fault(
        lambda f, s: [Stall(feed=f, symbol=s, seconds=3)],
        lambda told: told.status("silent", "books", "resubscribe") and told.status("resumed", "books"),
    ),
    "wrong clock": Fault(
        lambda f, s: [WrongClock(feed=f, offset_ms=60_000, seconds=3)],
        lambda told: told.status("wrong_clock", "books") and told.status("clock_right", "books"),
    ),
    "rate limit 429": Fault(
        lambda f, s: [RateLimit(feed=f, status=429)], lambda told: told.status("rate_limited", reason="429")
    ),
    "rate limit 418": Fault(
        lambda f, s: [RateLimit(feed=f, status=418)],
        lambda told: told.status("rate_limited", reason="418"),
        feeds=_BINANCE,
    ),
    "close frame": Fault(lambda f, s: [Disconnect(feed=f, close_frame=True)], Told.lost, alone=False),
    "no close frame": Fault(lambda f, s: [Disconnect(feed=f, close_frame=False)], Told.lost, alone=False),
    "heartbeat unanswered": Fault(
        lambda f, s: [Heartbeat(feed=f)], lambda told: told.lost() and told.status("disconnected"), alone=False
    ),
    "dead socket": Fault(
        lambda f, s: [Mute(feed=f)],
        lambda told: told.lost() and told.status("disconnected", reason="silent for"),
        alone=False,
    ),
    "subscription refused": Fault(
        lambda f, s: again(Refuse(feed=f, symbol=s, channel="books"), f),
        lambda told: told.lost() and told.status("refused", "books"),
        alone=False,
    ),
    "too many requests": Fault(
        lambda f, s: again(RateLimit(feed=f, where="ws"), f),
        lambda told: told.lost() and (told.status("refused") or told.status("disconnected", reason="1008")),
        alone=False,
    ),
    "maintenance": Fault(
        lambda f, s: [Maintenance(feed=f, seconds=1.5)],
        lambda told: told.lost() and told.status("notice"),
        alone=False,
    ),
    "announced shutdown": Fault(
        lambda f, s: [Shutdown(feed=f, seconds=6)], lambda told: told.status("notice") and told.status("renewed")
    ),
}


class Bench:
    """`strike` plants a fault on every feed once, and keeps what was found wrong about each."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._problems: dict[str, dict[str, list[str]]] = {}

    async def strike(self, name: str) -> dict[str, list[str]]:
        if name not in self._problems:
            fault, since = FAULTS[name], len(self._lab.events)
            struck = {feed: _BOOKS[feed][0] for feed in fault.feeds}
            for feed, symbol in struck.items():
                for plan in fault.plans(feed, symbol):
                    await self._lab.simulators.plant(plan)
            found = [self._follow(fault, feed, symbol, since) for feed, symbol in struck.items()]
            self._problems[name] = dict(zip(struck, await asyncio.gather(*found), strict=True))
            await self._compare(self._problems[name])
        return self._problems[name]

    async def _follow(self, fault: Fault, feed: str, symbol: str, since: int) -> list[str]:
        told = Told(self._lab, key_of(feed, symbol), since)
        others = [key_of(feed, other) for other in _BOOKS[feed] if other != symbol]
        try:
            await self._lab.until(lambda: fault.told(told), "told", _WITHIN)
            await self._lab.until(lambda: all(map(self._lab.live, [told.key, *others])), "every book is live")
        except AssertionError as error:
            return [str(error), *self._about(told.key, since)]
        return [text for other in others for text in self._about(other, since)] if fault.alone else []

    async def _compare(self, problems: dict[str, list[str]]) -> None:
        """Every book is the true one, level for level."""
        self._lab.simulators.pause()
        try:
            for feed in problems:
                for symbol in _BOOKS[feed]:
                    await self._lab.equal(feed, symbol)
        except AssertionError as error:
            problems[feed].append(str(error))
        finally:
            self._lab.simulators.resume()

    def _about(self, key: str, since: int) -> list[str]:
        # What an earlier fault's stall cost in trades is told some seconds after its end.
        gaps = [gap for gap in self._lab.told("market.gaps", key, since) if not gap["first_missing"]]
        letters = self._lab.told("dead_letters", key, since)
        return [f"gap: {gap}" for gap in gaps] + [f"dead letter: {letter}" for letter in letters]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(broker: Broker) -> AsyncIterator[Bench]:
    """Everything runs, and is less patient than it is in life."""
    async with Simulators(rate=3.0) as simulators:
        settings = load_settings(
            kafka=broker.bootstrap,
            topic_prefix=f"t{uuid4().hex[:8]}.",
            partitions=2,
            endpoints=simulators.endpoints,
            symbols=sorted({symbol for symbols in _BOOKS.values() for symbol in symbols}),
            channel_timeout_s={"trades": 10, "books": 2, "quotes": 2},
        )
        await create_topics(settings)
        timings = Timings(quick_reconnect_after_s=1.0, clock_interval_s=1.0, first_rejection_retry_s=0.5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("streams.instrument_processor.REPORT_EVERY", 1_000_000)
            for exchange in CONNECTORS.values():
                patch.setattr(exchange, "connection_timeout_s", 3.0)
            async with Lab(settings, simulators, timings) as lab:
                keys = [key_of(feed, symbol) for feed, symbols in _BOOKS.items() for symbol in symbols]
                await lab.until(lambda: all(map(lab.live, keys)), "every book is live")
                yield Bench(lab)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("fault", "feed"), [(name, feed) for name, fault in FAULTS.items() for feed in fault.feeds])
async def test_fault(bench: Bench, fault: str, feed: str) -> None:
    """The event that tells of it comes, and the books are true, all levels of them."""
    assert (await bench.strike(fault))[feed] == []
