"""Planned and unplanned reconnects under load: losses, duplicates, and how long books are not live."""

import os
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import pytest

from ingest import load_balancer
from ingest.balance import Loads
from ingest.exchanges import CONNECTORS
from ingest.timings import Timings
from marketprism.ops.control import ask_to_reconnect
from marketprism.simulator import Disconnect, Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from tests.e2e.in_process import InProcessPipeline, check_books

_ROUNDS = int(os.environ.get("TEST_ROUNDS", "4"))  # each reconnects every feed once
_BOOKS = {feed: [each.symbol for each in LISTINGS if each.feed == feed] for feed in FEEDS}
_CONSECUTIVE = [
    f"{FEEDS[feed].exchange}:{symbol}"
    for feed in ("binance-spot", "binance-usdm", "deribit")
    for symbol in _BOOKS[feed]
]  # of feeds with consecutive trade ids
_KEYS = {f"{FEEDS[feed].exchange}:{symbol}": feed for feed, symbols in _BOOKS.items() for symbol in symbols}


def with_endpoints(settings: Settings, simulators: Simulators) -> Settings:
    symbols = sorted({symbol for symbols in _BOOKS.values() for symbol in symbols})
    return load_settings(**settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": symbols})


def outages(pipeline: InProcessPipeline, key: str, since: int) -> list[dict[str, Any]]:
    """Return the gap events of lost connections."""
    return [gap for gap in pipeline.events_of("market.gaps", key, since) if gap["cause"] == "disconnected"]


def lost_trades(pipeline: InProcessPipeline, key: str) -> int:
    """Return how many trade ids are missing between the first and the last."""
    found = {int(trade["id"].rpartition("-")[2]) for trade in pipeline.events_of("market.trades", key)}
    return max(found) - min(found) + 1 - len(found)


def reported_trades(pipeline: InProcessPipeline, key: str) -> int:
    """Return how many lost trades the gap events report."""
    gaps = [gap for gap in pipeline.events_of("market.gaps", key) if gap["first_missing"] and gap["type"] == "opened"]
    return sum(int(gap["last_missing"]) - int(gap["first_missing"]) + 1 for gap in gaps)


async def until_live(pipeline: InProcessPipeline) -> None:
    await pipeline.until(lambda: all(map(pipeline.is_live, _KEYS)), "every book is live")


async def check_unbroken(pipeline: InProcessPipeline) -> None:
    """Check that nothing was missed, lost or published twice, and that all books are true."""
    await check_books(pipeline, _BOOKS)
    assert [event for topic, event in pipeline.events if topic in ("market.gaps", "dead_letters")] == []
    assert not any(pipeline.markers[key, "disconnected"] for key in _KEYS)
    for key in _KEYS:
        ids = [trade["id"] for trade in pipeline.events_of("market.trades", key)]
        assert ids
        assert max(Counter(ids).values()) == 1
        numbers = sorted(int(each.rpartition("-")[2]) for each in ids)
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


async def test_planned(settings: Settings) -> None:
    """Requested by the operator while data flows: no gap, no trade lost or duplicated, and true books afterwards."""
    async with (
        Simulators(rate=3.0) as simulators,
        InProcessPipeline(with_endpoints(settings, simulators), simulators) as pipeline,
    ):
        await until_live(pipeline)
        for number in range(1, _ROUNDS + 1):
            await ask_to_reconnect(settings, settings.feeds)
            await pipeline.until(
                lambda n=number: all(pipeline.markers[key, "renewed"] >= n for key in _KEYS),  # type: ignore[misc]
                "all have moved",
                30,
            )
        await check_unbroken(pipeline)


async def test_unplanned(settings: Settings) -> None:
    """Sockets are cut while data flows: every gap and lost trade is reported, books are soon live again and true."""
    timings = Timings(quick_reconnect_after_s=0.0)  # every reconnect is like the first one
    outage_seconds: list[float] = []
    async with (
        Simulators(rate=3.0) as simulators,
        InProcessPipeline(with_endpoints(settings, simulators), simulators, timings) as pipeline,
    ):
        await until_live(pipeline)
        for number in range(_ROUNDS):
            seen = len(pipeline.events)
            for feed in _BOOKS:
                await simulators.plant(Disconnect(feed=feed, close_frame=bool(number % 2)))
            await pipeline.until(
                lambda since=seen: all(len(outages(pipeline, key, since)) == 4 for key in _KEYS),  # type: ignore[misc]
                "every gap is opened and closed",
            )
            for key in _KEYS:
                for channel in ("books", "trades"):
                    opened, closed = (gap for gap in outages(pipeline, key, seen) if gap["channel"] == channel)
                    assert (opened["type"], closed["type"], opened["id"]) == ("opened", "closed", closed["id"])
                    if channel == "books":
                        outage_seconds.append(closed["duration"] / 1e6)
            await until_live(pipeline)
        await check_books(pipeline, _BOOKS)
        await pipeline.until(
            lambda: all(lost_trades(pipeline, key) == reported_trades(pipeline, key) for key in _CONSECUTIVE),
            "every lost trade is reported",
        )
        assert [event for topic, event in pipeline.events if topic == "dead_letters"] == []
    assert median(outage_seconds) < 3.0


async def test_moved(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instruments move between connections while data flows: no gap, no trade lost or twice, and true books."""
    rounds = 0

    def rotate(loads: Sequence[Loads], size: int) -> dict[str, int]:
        """Move every instrument to the next connection, in some rounds."""
        nonlocal rounds
        rounds += 1
        assert any(rate for load in loads for rate in load.values())
        return {name: (number + 1) % len(loads) for number, load in enumerate(loads) for name in load}

    monkeypatch.setattr(load_balancer, "balance", rotate)
    for connector in CONNECTORS.values():
        monkeypatch.setattr(connector, "instruments_per_connection", 1)
    async with (
        Simulators(rate=3.0) as simulators,
        InProcessPipeline(
            with_endpoints(settings, simulators), simulators, Timings(balance_interval_s=2.0)
        ) as pipeline,
    ):
        await until_live(pipeline)
        moved = [key for key, feed in _KEYS.items() if len(_BOOKS[feed]) > 1]
        await pipeline.until(lambda: all(pipeline.markers[key, "renewed"] for key in moved), "all have moved", 60)
        await check_unbroken(pipeline)
