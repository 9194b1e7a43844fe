"""Reconnects under load, planned and not: what is lost, what comes twice, how long a book is away."""

import os
from collections import Counter
from statistics import median
from typing import Any

from ingest.timings import Timings
from marketprism.ops.control import ask_to_reconnect
from marketprism.simulator import Disconnect, Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from tests.e2e.in_process import Lab, settled

_ROUNDS = int(os.environ.get("MARKETPRISM_TEST_ROUNDS", "4"))  # each reconnects every feed once
_BOOKS = {feed: [each.symbol for each in LISTINGS if each.feed == feed] for feed in FEEDS}
_CONSECUTIVE = [
    f"{FEEDS[feed].exchange}:{symbol}"
    for feed in ("binance-spot", "binance-usdm", "deribit")
    for symbol in _BOOKS[feed]
]  # whose trades' numbers follow one another
_KEYS = {f"{FEEDS[feed].exchange}:{symbol}": feed for feed, symbols in _BOOKS.items() for symbol in symbols}


def here(settings: Settings, simulators: Simulators) -> Settings:
    symbols = sorted({symbol for symbols in _BOOKS.values() for symbol in symbols})
    return load_settings(**settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": symbols})


def outages(lab: Lab, key: str, since: int) -> list[dict[str, Any]]:
    """The gaps of lost connections."""
    return [gap for gap in lab.told("market.gaps", key, since) if gap["cause"] == "disconnected"]


def missing(lab: Lab, key: str) -> int:
    """How many trades were lost."""
    found = {int(trade["id"].rpartition("-")[2]) for trade in lab.told("market.trades", key)}
    return max(found) - min(found) + 1 - len(found)


def reported(lab: Lab, key: str) -> int:
    """How many of them gaps name."""
    gaps = [gap for gap in lab.told("market.gaps", key) if gap["first_missing"] and gap["type"] == "opened"]
    return sum(int(gap["last_missing"]) - int(gap["first_missing"]) + 1 for gap in gaps)


async def live(lab: Lab) -> None:
    await lab.until(lambda: all(map(lab.live, _KEYS)), "every book is live")


async def test_planned(settings: Settings) -> None:
    """Asked for by the operator while data flows: no gap, no trade lost or doubled, books true afterwards."""
    async with Simulators(rate=3.0) as simulators, Lab(here(settings, simulators), simulators) as lab:
        await live(lab)
        for number in range(1, _ROUNDS + 1):
            await ask_to_reconnect(settings, settings.feeds)
            await lab.until(lambda n=number: all(lab.markers[key, "renewed"] >= n for key in _KEYS), "all moved", 30)  # type: ignore[misc]
        await settled(lab, _BOOKS)
        assert [event for topic, event in lab.events if topic in ("market.gaps", "dead_letters")] == []
        assert not any(lab.markers[key, "disconnected"] for key in _KEYS)
        for key in _KEYS:
            ids = [trade["id"] for trade in lab.told("market.trades", key)]
            assert ids
            assert max(Counter(ids).values()) == 1
            numbers = sorted(int(each.rpartition("-")[2]) for each in ids)
            assert numbers == list(range(numbers[0], numbers[-1] + 1))


async def test_unplanned(settings: Settings) -> None:
    """Sockets are cut while data flows: each gap is reported, each book soon live again and true, each loss named."""
    timings = Timings(quick_reconnect_after_s=0.0)  # every reconnect is like the first one
    away: list[float] = []
    async with Simulators(rate=3.0) as simulators, Lab(here(settings, simulators), simulators, timings) as lab:
        await live(lab)
        for number in range(_ROUNDS):
            seen = len(lab.events)
            for feed in _BOOKS:
                await simulators.plant(Disconnect(feed=feed, close_frame=bool(number % 2)))
            await lab.until(
                lambda since=seen: all(len(outages(lab, key, since)) == 4 for key in _KEYS),  # type: ignore[misc]
                "each gap is opened and closed",
            )
            for key in _KEYS:
                for channel in ("books", "trades"):
                    opened, closed = (gap for gap in outages(lab, key, seen) if gap["channel"] == channel)
                    assert (opened["type"], closed["type"], opened["id"]) == ("opened", "closed", closed["id"])
                    if channel == "books":
                        away.append(closed["duration"] / 1e6)
            await live(lab)
        await settled(lab, _BOOKS)
        await lab.until(lambda: all(missing(lab, key) == reported(lab, key) for key in _CONSECUTIVE), "losses named")
        assert [event for topic, event in lab.events if topic == "dead_letters"] == []
    assert median(away) < 3.0
