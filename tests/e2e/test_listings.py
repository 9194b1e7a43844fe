"""Instruments that open, change and close while ingest runs. The other instruments are not affected."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import orjson
import pytest

from ingest.exchanges import CONNECTORS
from ingest.timings import Timings
from marketprism.ops.control import ask_to_reconnect, ask_to_refresh
from marketprism.simulator import Definition, Refuse, Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.raw import RawLine
from schemas.settings import Settings, load_settings
from schemas.symbols import parse_symbol
from tests.ingest.reading import ingesting, kinds, read_lines

Change = Literal["gone", "closed", "halted", "resized", "unsized", "odd", "back"]

# By feed: the symbol of an instrument that changes, and of one that does not.
SYMBOLS = {
    "binance-spot": ("ETH-USDT", "BTC-USDT"),
    "binance-usdm": ("ETH-USDT-PERP", "BTC-USDT-PERP"),
    "binance-coinm": ("ETH-USD-PERP", "BTC-USD-PERP"),
    "okx": ("ETH-USDT-PERP", "BTC-USDT-PERP"),
    "htx-spot": ("ETH-USDT", "BTC-USDT"),
    "htx-linear": ("ETH-USDT-PERP", "BTC-USDT-PERP"),
    "deribit": ("ETH-USD-PERP", "BTC-USD-PERP"),
}
ANNOUNCING = ("binance-usdm", "binance-coinm", "okx", "deribit")


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    async with Simulators() as running:
        yield running


class FeedUnderTest:
    """Feed with an instrument that changes (`key`), and one that does not (`other`)."""

    def __init__(
        self, settings: Settings, simulators: Simulators, feed: str, refresh_s: float, symbols: str = "*"
    ) -> None:
        self.feed, self.exchange = feed, FEEDS[feed].exchange
        self.symbol, other = SYMBOLS[feed]
        self.key, self.other = f"{self.exchange}:{self.symbol}", f"{self.exchange}:{other}"
        self.paths, polled = _connections(feed, other)
        self.connections = self.paths + polled
        self.simulators = simulators
        self.settings = load_settings(
            **settings.model_dump()
            | {"endpoints": simulators.endpoints, "symbols": symbols, "instruments_refresh_s": refresh_s}
        )

    async def change(self, change: Change) -> int:
        """Change the instrument's entry in the listing. Return the time, ns since the epoch."""
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

    async def check_other(self) -> None:
        """Check that the other instrument has stayed on its connection, and still receives frames."""
        lines = await self.lines(self.other)
        assert {kind: kinds(lines).count(kind) for kind in ("connected", "disconnected", "renewing")} == {
            "connected": self.connections, "disconnected": 0, "renewing": 0,
        }  # fmt: skip
        assert time.time_ns() - max(line.local_timestamp for line in lines) < 3e9


def _connections(feed: str, symbol: str) -> tuple[int, int]:
    """Return how many markers say that channels of an instrument are connected: of its paths, and of its polls."""
    connector, kind = CONNECTORS[feed](), parse_symbol(symbol).kind
    polled = any(not row.of or kind in row.of for row in connector.polled.values())
    return sum(bool(connector.channels_of(kind, path)) for path in connector.paths), polled


def is_flowing(found: list[str]) -> bool:
    return found.count("frame") > 10


def marker(lines: list[RawLine], kind: str) -> dict[str, Any]:
    return dict(orjson.loads(lines[kinds(lines).index(kind)].frame))


@pytest.mark.parametrize("feed", SYMBOLS)
async def test_opens_and_closes(settings: Settings, simulators: Simulators, feed: str) -> None:
    """An instrument is subscribed on the others' connection once it is listed, and unsubscribed once it is not."""
    tested = FeedUnderTest(settings, simulators, feed, 0.5)
    await tested.change("gone")
    async with ingesting(tested.settings, feed):
        await asyncio.sleep(2)
        assert not await tested.lines(tested.key)
        opened = await tested.change("back")
        lines = await tested.until(is_flowing, opened)
        assert kinds(lines)[:3] == ["instrument", "listed", "connected"]
        assert "subscribed" in kinds(lines)
        closed = await tested.change("gone")
        lines = await tested.until(lambda found: "delisted" in found, closed)
        assert marker(lines, "delisted")["reason"] == "no longer listed"
        assert kinds(await tested.lines(tested.key))[-1] == "delisted"
        again = await tested.change("back")
        await tested.until(lambda found: "listed" in found and is_flowing(found), again)
        await tested.check_other()


@pytest.mark.parametrize("feed", SYMBOLS)
async def test_closed_by_its_state(settings: Settings, simulators: Simulators, feed: str) -> None:
    """A listing that says closed is believed at once. Frames that still arrive are dropped."""
    tested = FeedUnderTest(settings, simulators, feed, 0.5)
    async with ingesting(tested.settings, feed):
        await tested.until(is_flowing)
        closed = await tested.change("closed")
        lines = await tested.until(lambda found: "delisted" in found, closed)
        assert marker(lines, "delisted")["reason"] == "closed"
        await asyncio.sleep(1)
        assert kinds(await tested.lines(tested.key))[-1] == "delisted"
        await tested.check_other()


@pytest.mark.parametrize("feed", ["okx", "htx-linear", "deribit"])
async def test_changes(settings: Settings, simulators: Simulators, feed: str) -> None:
    """A new size only changes the definition. Halted instruments and those with an unusable entry stay subscribed."""
    tested = FeedUnderTest(settings, simulators, feed, 0.5)
    async with ingesting(tested.settings, feed):
        before = marker(await tested.until(is_flowing), "instrument")
        changed = await tested.change("resized")
        lines = await tested.until(lambda found: "instrument" in found, changed)
        after = marker(lines, "instrument")
        name = "tick_size" if feed == "deribit" else "contract_size"
        assert float(after[name]) > float(before[name])
        await tested.change("odd")
        await asyncio.sleep(2)
        halted = await tested.change("halted")
        lines = await tested.until(lambda found: "instrument" in found and is_flowing(found), halted)
        assert marker(lines, "instrument")["status"] == "halted"
        found = kinds(await tested.lines(tested.key))
        assert not {"delisted", "listed", "disconnected"} & set(found)
        await tested.check_other()


async def test_no_contract_size_yet(settings: Settings, simulators: Simulators) -> None:
    """A contract without a size, before it opens, is subscribed as soon as it has one."""
    tested = FeedUnderTest(settings, simulators, "okx", 0.5)
    await tested.change("unsized")
    async with ingesting(tested.settings, "okx"):
        await asyncio.sleep(2)
        assert not await tested.lines(tested.key)
        opened = await tested.change("back")
        lines = await tested.until(is_flowing, opened)
        assert marker(lines, "instrument")["contract_size"] == "0.1"


@pytest.mark.parametrize("feed", ANNOUNCING)
async def test_announced(settings: Settings, simulators: Simulators, feed: str) -> None:
    """After an announcement the definitions are read at once, long before the next refresh is due."""
    timings = Timings(min_refresh_interval_s=1.0)
    tested = FeedUnderTest(settings, simulators, feed, 3600.0)
    async with ingesting(tested.settings, feed, timings=timings):
        await tested.until(is_flowing)
        closed = await tested.change("gone")
        await tested.until(lambda found: "delisted" in found, closed)
        opened = await tested.change("back")
        await tested.until(lambda found: "listed" in found and is_flowing(found), opened)
        await tested.check_other()


async def test_requested(settings: Settings, simulators: Simulators) -> None:
    """A request makes ingest read the listings of its feeds at once, long before the next refresh is due."""
    tested = FeedUnderTest(settings, simulators, "htx-spot", 3600.0)
    await tested.change("gone")
    async with ingesting(tested.settings, "htx-spot", timings=Timings(min_refresh_interval_s=0.5)):
        await asyncio.sleep(2)
        opened = await tested.change("back")
        await ask_to_refresh(tested.settings, ["okx"])
        await ask_to_refresh(tested.settings, ["htx-spot"])
        await tested.until(lambda found: "listed" in found and is_flowing(found), opened)


@pytest.mark.parametrize("feed", SYMBOLS)
async def test_permanently_rejected(
    settings: Settings, simulators: Simulators, feed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscription that the exchange always rejects does not prevent a handover of the others."""
    timings = Timings(first_rejection_retry_s=1.0)
    tested = FeedUnderTest(settings, simulators, feed, 3600.0)
    for symbol in {each.symbol for each in LISTINGS if each.feed == feed and each.symbol == tested.symbol}:
        await simulators.plant(Refuse(feed=feed, symbol=symbol, channel="trades", count=10_000))
    if feed.startswith("binance"):  # there an error rejects the whole request
        monkeypatch.setattr("ingest.exchanges.binance.connector._STREAMS_PER_MESSAGE", 1)
    async with ingesting(tested.settings, feed, timings=timings):
        await tested.until(lambda found: "refused" in found and is_flowing(found))
        began = time.time_ns()
        await ask_to_reconnect(tested.settings, [feed])
        lines = await tested.until(lambda found: found.count("renewed") == tested.paths, began)
        assert "disconnected" not in kinds(lines)
        found = kinds(await tested.lines(tested.other))
        assert "disconnected" not in found


@pytest.mark.parametrize("feed", ["okx", "htx-linear"])
async def test_rejected_on_the_new_connection(settings: Settings, simulators: Simulators, feed: str) -> None:
    """What is rejected on the new connection ends with the old one. The others have no gap."""
    timings = Timings(first_rejection_retry_s=1.0)
    tested = FeedUnderTest(settings, simulators, feed, 3600.0)
    async with ingesting(tested.settings, feed, timings=timings):
        await tested.until(is_flowing)
        await simulators.plant(Refuse(feed=feed, symbol=tested.symbol, channel="trades", count=10_000))
        began = time.time_ns()
        await ask_to_reconnect(tested.settings, [feed])
        lines = await tested.until(lambda found: found.count("renewed") == tested.paths, began)
        assert marker(lines, "disconnected")["channels"] == ["trades"]
        assert "disconnected" not in kinds(await tested.lines(tested.other))
