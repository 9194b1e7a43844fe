"""What the simulated exchanges have of the past is asked for once, and completely."""

import time
from collections.abc import AsyncIterator

import pytest

from ingest.exchanges import CONNECTORS
from ingest.exchanges.history import ByNumber
from marketprism.backfill.asking import StoredTrades
from marketprism.backfill.holes import Span
from marketprism.backfill.job import rows_for
from marketprism.simulator import Limits, RateLimit, Simulators
from schemas.errors import SettingsError
from schemas.instruments import instrument_of_key
from tests.backfill.pasts import HOUR, MemoryTables, PastReader

MINUTE, DAY = HOUR // 60, 24 * HOUR
SYMBOLS = {
    "binance-spot": "BTC-USDT", "binance-usdm": "BTC-USDT-PERP", "binance-coinm": "BTC-USD-PERP",
    "okx": "BTC-USDT-PERP", "htx-spot": "BTC-USDT", "htx-linear": "BTC-USDT-PERP", "deribit": "BTC-USD-PERP",
}  # fmt: skip


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    async with Simulators(tuple(SYMBOLS), rate=0) as running:
        yield running


def until_now(length: int, step: int = MINUTE, back: int = 5) -> Span:
    """Return a span of some length, which ends some steps ago."""
    end = time.time_ns() // 1000 // step * step - back * step
    return Span(end - length, end)


@pytest.mark.parametrize("feed", SYMBOLS)
@pytest.mark.parametrize(("interval", "step"), [("1m", MINUTE), ("1h", HOUR)])
async def test_candles(simulators: Simulators, feed: str, interval: str, step: int) -> None:
    """Each candle of the range arrives once; a second run asks for nothing, or for a hole alone."""
    span, tables = until_now(700 * step, step), MemoryTables()
    starts = list(range(span.begin, span.end, step))
    async with PastReader(simulators, feed) as reader:
        await reader.read(SYMBOLS[feed], "candles", tables, span, interval)
        assert [event["start"] for event in tables.events] == starts
        assert all(event["closed"] and event["end"] == event["start"] + step for event in tables.events)
        assert len(reader.pages) <= 3
        await reader.read(SYMBOLS[feed], "candles", tables, span, interval)
        assert reader.pages == []
        del tables.events[100:110]
        await reader.read(SYMBOLS[feed], "candles", tables, span, interval)
        assert len(reader.pages) == 1
        assert sorted(event["start"] for event in tables.events) == starts


@pytest.mark.parametrize(
    ("feed", "variants"),
    [
        ("binance-spot", {}), ("okx", {}), ("deribit", {}),
        ("binance-usdm", {"trades": "aggTrade"}), ("binance-spot", {"trades": "aggTrade"}),
    ],
)  # fmt: skip
async def test_trades(simulators: Simulators, feed: str, variants: dict[str, str]) -> None:
    """All trades of the range arrive once, however often the run is killed, and a complete range is not asked for."""
    # OKX has only a hundred in an answer, and a limit that makes more of them take long.
    span, tables = until_now((6 if feed == "okx" else 20) * MINUTE), MemoryTables()
    tape = simulators.instrument(feed, SYMBOLS[feed]).tape
    first, stop = (tape.first_at(at // 1000) for at in span)
    async with PastReader(simulators, feed) as reader:
        asked = 0
        for stop_after in (1, 2, 1 << 30):
            await reader.read(SYMBOLS[feed], "trades", tables, span, stop_after=stop_after, variants=variants)
            asked += len(reader.pages)
        expected = tape.trades(first, stop - first)
        assert [int(event["id"]) for event in tables.events] == [trade.id for trade in expected]
        assert [event["timestamp"] // 1000 for event in tables.events] == [trade.at_ms for trade in expected]
        assert asked <= len(expected) // 100 + 8
        await reader.read(SYMBOLS[feed], "trades", tables, span, variants=variants)
        assert reader.pages == []


async def test_trades_in_the_middle_are_missing(simulators: Simulators) -> None:
    """Only pages with missing trades are asked for."""
    span, tables = until_now(HOUR), MemoryTables()
    async with PastReader(simulators, "okx") as reader:
        await reader.read("BTC-USDT-PERP", "trades", tables, span)
        complete = [event["id"] for event in tables.events]
        del tables.events[500:520], tables.events[1200:1230]
        await reader.read("BTC-USDT-PERP", "trades", tables, span)
        assert sorted(event["id"] for event in tables.events) == complete
        assert len(reader.pages) == 2


async def test_the_oldest_trades_are_found(simulators: Simulators) -> None:
    """OKX has the trades of 90 days: from the first of them on, none is skipped."""
    span, tables = until_now(90 * DAY + 5 * MINUTE), MemoryTables()
    end = span.begin + 15 * MINUTE
    tape = simulators.instrument("okx", "BTC-USDT-PERP").tape
    async with PastReader(simulators, "okx") as reader:
        await reader.read("BTC-USDT-PERP", "trades", tables, Span(span.begin, end))
    ids = [int(event["id"]) for event in tables.events]
    first, stop = (tape.first_at(at // 1000) for at in (time.time_ns() // 1000 - 90 * DAY, end))
    kept = [trade.id for trade in tape.trades(first, stop - first)]
    assert kept
    assert ids[-len(kept) :] == kept


def test_merged_trades_count_as_their_fills() -> None:
    """OKX's live trades may merge several fills of one instant: these are not published again, one by one."""
    paging = CONNECTORS["okx"].history["trades"][0].paging
    assert isinstance(paging, ByNumber)
    stored = StoredTrades({"105": 7_000_000, "110": 9_000_000}, paging)
    rows = [
        {"tradeId": str(number), "ts": str(at)} for number, at in ((102, 6999), (103, 7000), (105, 7000), (111, 9000))
    ]
    assert stored.known(rows) == ["103", "105"]
    assert (stored.next_missing(105), stored.next_missing(104)) == (106, 104)


@pytest.mark.parametrize("feed", ["htx-spot", "htx-linear"])
async def test_latest_trades(simulators: Simulators, feed: str) -> None:
    """HTX has only the latest trades, which are published once."""
    span, tables = until_now(DAY), MemoryTables()
    async with PastReader(simulators, feed) as reader:
        for _ in range(2):
            await reader.read(SYMBOLS[feed], "trades", tables, span)
            assert len(reader.pages) == 1
    ids = [event["id"] for event in tables.events]
    assert len(ids) == len(set(ids)) > 100


FIGURES = [
    (feed, kind)
    for feed, connector in CONNECTORS.items()
    for kind in connector.history
    if kind not in ("candles", "trades")
]


@pytest.mark.parametrize(("feed", "kind"), FIGURES)
async def test_figures(simulators: Simulators, feed: str, kind: str) -> None:
    """Rates, prices, open interest and ratios arrive once, one in each step as far as the exchange has them."""
    is_hourly = kind == "funding" or (feed, kind) == ("htx-linear", "open_interest")
    step = MINUTE if kind == "mark_prices" else HOUR if is_hourly else 5 * MINUTE
    length = 30 * DAY if kind == "funding" else DAY
    span, tables = until_now(length, step), MemoryTables()
    async with PastReader(simulators, feed) as reader:
        rows = await reader.read(SYMBOLS[feed], kind, tables, span)
        names = [(event.get("scope", ""), event["timestamp"]) for event in tables.events]
        assert len(names) == len(set(names))
        least = 30 * 3 - 1 if kind == "funding" else 20 if feed == "htx-linear" else length // step - 1
        for row in rows:
            times = sorted(at for scope, at in names if scope == row.scope)
            assert len(times) >= least, (row.channel, len(times))
            assert span.begin <= times[0] <= times[-1] < span.end
        before = len(tables.events)
        await reader.read(SYMBOLS[feed], kind, tables, span)
        assert len(tables.events) == before


async def test_rejections_are_waited_out(simulators: Simulators) -> None:
    """After 429 the exchange is left alone for as long as it says, and then nothing is missing."""
    span, tables = until_now(HOUR), MemoryTables()
    async with PastReader(simulators, "binance-spot") as reader:
        await reader.read("BTC-USDT", "candles", MemoryTables(), until_now(MINUTE))
        planted = await simulators.plant(RateLimit(feed="binance-spot", where="rest", status=429, seconds=2.0))
        began = time.monotonic()
        await reader.read("BTC-USDT", "candles", tables, span)
        assert time.monotonic() - began >= 1.5
    assert len(tables.events) == 60
    assert planted.result["requests"] >= 1


async def test_limits_are_kept() -> None:
    """With a quarter of a low limit, no request is rejected."""
    async with Simulators(("binance-spot",), rate=0, limits=Limits(weight_per_minute=3000)) as simulators:
        span, tables = until_now(40 * MINUTE), MemoryTables()
        async with PastReader(simulators, "binance-spot", 0.25) as reader:
            await reader.read("BTC-USDT", "trades", tables, span)
            assert len(reader.pages) > 3


@pytest.mark.parametrize(
    ("feed", "symbol", "kind", "interval", "text"),
    [
        ("binance-spot", "BTC-USDT", "funding", "1m", "has no history of funding of BTC-USDT by REST; it has: candles"),
        ("binance-usdm", "BTC-USDT-PERP", "trades", "1m", "use --source files"),
        ("okx", "BTC-USDT", "open_interest", "1m", "it has: candles, trades"),
        ("deribit", "BTC-USD-PERP", "candles", "1w", "has no candles of 1w; it has: 1m"),
        ("deribit", "BTC-USD-PERP", "long_short_ratios", "1m", "it has: candles, trades, funding"),
    ],
)
def test_what_is_not_offered(feed: str, symbol: str, kind: str, interval: str, text: str) -> None:
    """The error says what there is."""
    connector = CONNECTORS[feed]([kind])
    with pytest.raises(SettingsError, match=text):
        rows_for(connector, instrument_of_key(f"{connector.feed.exchange}:{symbol}"), kind, interval)
