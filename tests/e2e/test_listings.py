"""Instruments that open, change and close while ingest runs, and what of it concerns the others: nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import orjson
import pytest

from ingest.timings import Timings
from marketprism.ops.control import ask_to_reconnect
from marketprism.simulator import Definition, Refuse, Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.raw import RawLine
from schemas.settings import Settings, load_settings
from tests.ingest.reading import ingesting, kinds, read_lines

Change = Literal["gone", "closed", "halted", "resized", "unsized", "odd", "back"]

# By feed: what changes, and what stays.
PLACES = {
    "binance-spot": ("ETH-USDT", "BTC-USDT"),
    "binance-usdm": ("ETH-USDT-PERP", "BTC-USDT-PERP"),
    "okx": ("ETH-USDT-PERP", "BTC-USDT-PERP"),
    "htx-spot": ("ETH-USDT", "BTC-USDT"),
    "htx-linear": ("ETH-USDT-PERP", "BTC-USDT-PERP"),
    "deribit": ("ETH-USD-PERP", "BTC-USD-PERP"),
}
ANNOUNCING = ("binance-usdm", "okx", "deribit")


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    async with Simulators() as running:
        yield running


class Place:
    """One feed: an instrument that changes (`key`), and one that does not (`other`)."""

    def __init__(
        self, settings: Settings, simulators: Simulators, feed: str, refresh_s: float, symbols: str = "*"
    ) -> None:
        self.feed, self.exchange = feed, FEEDS[feed].exchange
        self.symbol, other = PLACES[feed]
        self.key, self.other = f"{self.exchange}:{self.symbol}", f"{self.exchange}:{other}"
        self.simulators = simulators
        self.settings = load_settings(
            **settings.model_dump()
            | {"endpoints": simulators.endpoints, "symbols": symbols, "instruments_refresh_s": refresh_s}
        )

    async def change(self, change: Change) -> int:
        await self.simulators.plant(Definition(feed=self.feed, symbol=self.symbol, change=change))
        return time.time_ns()

    async def lines(self, key: str, since: int = 0) -> list[RawLine]:
        found = (await read_lines(self.settings, self.exchange)).get(key, [])
        return [line for line in found if line.local_timestamp >= since]

    async def until(self, enough: Callable[[list[str]], Any], since: int = 0, within: float = 25.0) -> list[RawLine]:
        deadline = time.monotonic() + within
        while True:
            lines = await self.lines(self.key, since)
            if enough(kinds(lines)):
                return lines
            assert time.monotonic() < deadline, f"{self.key} has {kinds(lines)[-20:]}"
            await asyncio.sleep(0.3)

    async def undisturbed(self) -> None:
        """The other instrument has one connection, and frames to the end."""
        lines = await self.lines(self.other)
        assert {kind: kinds(lines).count(kind) for kind in ("connected", "disconnected", "renewing")} == {
            "connected": 2 if self.feed == "htx-spot" else 1, "disconnected": 0, "renewing": 0,
        }  # fmt: skip
        assert time.time_ns() - max(line.local_timestamp for line in lines) < 3e9


def flowing(found: list[str]) -> bool:
    return found.count("frame") > 10


def marker(lines: list[RawLine], kind: str) -> dict[str, Any]:
    return dict(orjson.loads(lines[kinds(lines).index(kind)].frame))


@pytest.mark.parametrize("feed", PLACES)
async def test_opens_and_closes(settings: Settings, simulators: Simulators, feed: str) -> None:
    """Not listed at first; listed, it is taken up on the connection of the others; gone again, it is dropped."""
    place = Place(settings, simulators, feed, 0.5)
    await place.change("gone")
    async with ingesting(place.settings, feed):
        await asyncio.sleep(2)
        assert not await place.lines(place.key)
        opened = await place.change("back")
        lines = await place.until(flowing, opened)
        assert kinds(lines)[:3] == ["instrument", "listed", "connected"]
        assert "subscribed" in kinds(lines)
        closed = await place.change("gone")
        lines = await place.until(lambda found: "delisted" in found, closed)
        assert marker(lines, "delisted")["reason"] == "no longer listed"
        assert kinds(await place.lines(place.key))[-1] == "delisted"
        again = await place.change("back")
        await place.until(lambda found: "listed" in found and flowing(found), again)
        await place.undisturbed()


@pytest.mark.parametrize("feed", PLACES)
async def test_closed_by_its_state(settings: Settings, simulators: Simulators, feed: str) -> None:
    """A listing that says closed is believed at once; frames that still come are nobody's."""
    place = Place(settings, simulators, feed, 0.5)
    async with ingesting(place.settings, feed):
        await place.until(flowing)
        closed = await place.change("closed")
        lines = await place.until(lambda found: "delisted" in found, closed)
        assert marker(lines, "delisted")["reason"] == "closed"
        await asyncio.sleep(1)
        assert kinds(await place.lines(place.key))[-1] == "delisted"
        await place.undisturbed()


@pytest.mark.parametrize("feed", ["okx", "htx-linear", "deribit"])
async def test_changes(settings: Settings, simulators: Simulators, feed: str) -> None:
    """Another size is another definition, and nothing else; a halted one, and an odd entry, stay subscribed."""
    place = Place(settings, simulators, feed, 0.5)
    async with ingesting(place.settings, feed):
        before = marker(await place.until(flowing), "instrument")
        changed = await place.change("resized")
        lines = await place.until(lambda found: "instrument" in found, changed)
        after = marker(lines, "instrument")
        name = "tick_size" if feed == "deribit" else "contract_size"
        assert float(after[name]) > float(before[name])
        await place.change("odd")
        await asyncio.sleep(2)
        halted = await place.change("halted")
        lines = await place.until(lambda found: "instrument" in found and flowing(found), halted)
        assert marker(lines, "instrument")["status"] == "halted"
        found = kinds(await place.lines(place.key))
        assert not {"delisted", "listed", "disconnected"} & set(found)
        await place.undisturbed()


async def test_no_size_yet(settings: Settings, simulators: Simulators) -> None:
    """A contract before its opening, without a size, is taken up as soon as it has one."""
    place = Place(settings, simulators, "okx", 0.5)
    await place.change("unsized")
    async with ingesting(place.settings, "okx"):
        await asyncio.sleep(2)
        assert not await place.lines(place.key)
        opened = await place.change("back")
        lines = await place.until(flowing, opened)
        assert marker(lines, "instrument")["contract_size"] == "0.1"


@pytest.mark.parametrize("feed", ANNOUNCING)
async def test_announced(settings: Settings, simulators: Simulators, feed: str) -> None:
    """What the exchange announces is looked up at once, long before the next reading is due."""
    timings = Timings(min_refresh_interval_s=1.0)
    place = Place(settings, simulators, feed, 3600.0)
    async with ingesting(place.settings, feed, timings=timings):
        await place.until(flowing)
        closed = await place.change("gone")
        await place.until(lambda found: "delisted" in found, closed)
        opened = await place.change("back")
        await place.until(lambda found: "listed" in found and flowing(found), opened)
        await place.undisturbed()


@pytest.mark.parametrize("feed", PLACES)
async def test_refused_for_good(
    settings: Settings, simulators: Simulators, feed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscription that the exchange never takes again does not keep the others from moving."""
    timings = Timings(first_rejection_retry_s=1.0)
    place = Place(settings, simulators, feed, 3600.0)
    for symbol in {each.symbol for each in LISTINGS if each.feed == feed and each.symbol == place.symbol}:
        await simulators.plant(Refuse(feed=feed, symbol=symbol, channel="trades", count=10_000))
    if feed.startswith("binance"):  # there an error is one of the whole request
        monkeypatch.setattr("ingest.exchanges.binance._STREAMS_PER_MESSAGE", 1)
    async with ingesting(place.settings, feed, timings=timings):
        await place.until(lambda found: "refused" in found and flowing(found))
        began = time.time_ns()
        await ask_to_reconnect(place.settings, [feed])
        moves = 2 if feed == "htx-spot" else 1
        lines = await place.until(lambda found: found.count("renewed") == moves, began)
        assert "disconnected" not in kinds(lines)
        found = kinds(await place.lines(place.other))
        assert "disconnected" not in found


@pytest.mark.parametrize("feed", ["okx", "htx-linear"])
async def test_refused_by_the_new_connection(settings: Settings, simulators: Simulators, feed: str) -> None:
    """What the new connection does not get is given up with the old one; the others have no gap."""
    timings = Timings(first_rejection_retry_s=1.0)
    place = Place(settings, simulators, feed, 3600.0)
    async with ingesting(place.settings, feed, timings=timings):
        await place.until(flowing)
        await simulators.plant(Refuse(feed=feed, symbol=place.symbol, channel="trades", count=10_000))
        began = time.time_ns()
        await ask_to_reconnect(place.settings, [feed])
        lines = await place.until(lambda found: "renewed" in found, began)
        assert marker(lines, "disconnected")["channels"] == ["trades"]
        assert "disconnected" not in kinds(await place.lines(place.other))
