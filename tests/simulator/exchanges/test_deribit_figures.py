"""The simulated Deribit's tickers, candles, whole books and hourly interest: parsed, they are the truth."""

import asyncio
import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from ingest.exchanges.deribit import Deribit
from marketprism.simulator import Simulators
from marketprism.simulator.exchanges.deribit.charts import Chart
from marketprism.simulator.exchanges.deribit.control import Credits
from marketprism.simulator.market.instrument import SimulatedInstrument
from schemas.exchanges.deribit import RESOLUTIONS
from schemas.instruments import Instrument, assumed_instrument
from schemas.markers import answer_of
from streams.levels import texts_of
from streams.normalize import parse, parse_answer
from streams.normalize.messages import BookMessage, Candle, Reading, SeriesRow, Trade
from tests.simulator.clients import command, get, opened, receive, rpc
from tests.simulator.market.figures import START_MS, candles_of, listing_of

NOW = 1_790_000_000_000_001  # µs of receipt
HOUR = 3_600_000  # ms
HISTORY = "/api/v2/public/get_funding_rate_history"

PERPETUAL, LINEAR, SPOT, OPTION = (
    assumed_instrument("deribit", "deribit", symbol)
    for symbol in ("BTC-USD-PERP", "BTC-USDC-PERP", "BTC-USDC", "BTC-USD-270625-90000-P")
)


def name_of(frame: dict[str, Any]) -> str:
    return str(frame["params"]["channel"]) if "params" in frame else ""


async def subscribed(socket: ClientConnection, *channels: str) -> dict[str, dict[str, Any]]:
    """Subscribe to channels that begin with a snapshot, and return the first frame of each by its channel."""
    assert set((await command(socket, rpc("subscribe", channels=channels)))["result"]) == set(channels)
    frames = [await receive(socket, name_of) for _ in channels]
    return {name_of(frame): frame for frame in frames}


_PRICES = {"index_price", "mark_price", "last_price", "settlement_price", "min_price", "max_price"}
_SIDES = {f"best_{side}_{value}" for side in ("bid", "ask") for value in ("price", "amount")}
_SPOT = _PRICES | _SIDES | {"timestamp", "state", "instrument_name", "estimated_delivery_price", "stats"}
_PERPETUAL = _SPOT | {"open_interest", "interest_value", "current_funding", "funding_8h"}
_OPTION = _SPOT | {"open_interest", "greeks", "underlying_price", "underlying_index", "interest_rate"}
_KEYS = [
    (PERPETUAL, _PERPETUAL), (LINEAR, _PERPETUAL), (SPOT, _SPOT), (OPTION, _OPTION | {"mark_iv", "bid_iv", "ask_iv"}),
]  # fmt: skip


def readings(frame: dict[str, Any], instrument: Instrument) -> dict[str, dict[str, Any]]:
    """Return the fields of a ticker's readings by topic. Decimals are numbers, whatever their zeros."""
    found = [each for each in parse(orjson.dumps(frame), instrument, NOW) if isinstance(each, Reading)]
    return {each.topic: {name: _comparable(value) for name, value in each.fields.items()} for each in found}


def _comparable(value: Any) -> Any:
    try:
        return Decimal(value) if type(value) is str else value
    except ArithmeticError:
        return value


@pytest.mark.parametrize(("instrument", "keys"), _KEYS, ids=[each.symbol for each, _ in _KEYS])
async def test_tickers(instrument: Instrument, keys: set[str]) -> None:
    """Tickers have the documented fields and, parsed, the true figures."""
    channel = f"ticker.{instrument.exchange_symbol}.agg2"
    async with Simulators(["deribit"], seed=3) as sims, opened(sims, "deribit") as socket:
        sims.pause()
        frame = (await subscribed(socket, channel))[channel]
        true = sims.instrument("deribit", instrument.symbol)
        at_ms = frame["params"]["data"]["timestamp"]
        assert set(frame["params"]["data"]) == keys
        found = readings(frame, instrument)
        assert found.pop("market.tickers") == _true_summary(true, at_ms)
        if instrument != SPOT:
            prices = {"mark_price": true.mark, "index_price": true.funding.index}
            assert found.pop("market.mark_prices") == prices | {"settlement_price": true.funding.index}
            unit = "value" if instrument.inverse else "amount"
            assert found.pop("market.open_interest") == {unit: true.positions.open_interest(at_ms).own}
        if true.funding.is_perpetual:
            estimate = {"type": "estimated", "rate": true.funding.rate, "interval_hours": 8}
            assert found.pop("market.funding") == estimate | prices
        if true.option is not None:
            assert found.pop("market.options") == _true_option(true, at_ms)
        assert found == {}


def _true_summary(true: SimulatedInstrument, at_ms: int) -> dict[str, Any]:
    day = true.day.at(at_ms)
    quote_volume = None if true.option else round(day.quote_volume, 8)
    return {
        "last": day.close, "high": day.high, "low": day.low, "volume": round(day.base_volume, 8),
        "quote_volume": quote_volume, "window": "24h",
    }  # fmt: skip


def _true_option(true: SimulatedInstrument, at_ms: int) -> dict[str, Any]:
    option = true.option
    assert option is not None
    volatilities = {name: getattr(option, name) / 100 for name in ("mark_iv", "bid_iv", "ask_iv")}
    greeks = {name: round(getattr(option.greeks, name), 5) for name in ("delta", "gamma", "vega", "theta", "rho")}
    return volatilities | greeks | {
        "underlying_price": option.underlying_price, "underlying_index": "SYN.BTC-25JUN27",
        "open_interest": true.positions.open_interest(at_ms).own,
    }  # fmt: skip


@pytest.mark.parametrize(("interval", "least_ms"), [("100ms", 400), ("agg2", 800)])
async def test_ticker_intervals(interval: str, least_ms: int) -> None:
    """After the first, tickers come on change, every 500 ms or every second."""
    channel = f"ticker.BTC-PERPETUAL.{interval}"
    async with Simulators(["deribit"], seed=3) as sims, opened(sims, "deribit") as socket:
        await subscribed(socket, channel)
        times = [(await receive(socket, name_of))["params"]["data"]["timestamp"] for _ in "123"]
    assert min(later - earlier for earlier, later in pairwise(times)) > least_ms


@pytest.mark.parametrize("instrument", [PERPETUAL, SPOT, OPTION], ids=["inverse", "spot", "option"])
async def test_candles(instrument: Instrument) -> None:
    """Every resolution has the true running candle; volumes are in base currency and in that of the price."""
    names = {f"chart.trades.{instrument.exchange_symbol}.{each}": text for text, each in RESOLUTIONS.items()}
    async with Simulators(["deribit"], seed=3) as sims, opened(sims, "deribit") as socket:
        sims.pause()
        frames = await subscribed(socket, *names)
        true = sims.instrument("deribit", instrument.symbol).candles
        for name, frame in frames.items():
            assert set(frame["params"]["data"]) == {"tick", "open", "high", "low", "close", "volume", "cost"}
            [found] = parse(orjson.dumps(frame), instrument, NOW)
            assert isinstance(found, Candle)
            assert found.interval == names[name]
            candle = true.between(found.start // 1000, found.end // 1000, time.time_ns() // 1_000_000)
            prices = (found.open, found.high, found.low, found.close)
            assert tuple(map(Decimal, prices)) == (candle.open, candle.high, candle.low, candle.close)
            assert found.volume is not None
            assert found.quote_volume is not None
            volumes = (round(candle.base_volume, 8), round(candle.quote_volume, 8))
            assert (Decimal(found.volume), Decimal(found.quote_volume)) == volumes


async def test_candles_follow_the_trades() -> None:
    """A trade changes the running candle, which is sent again within about a second."""
    channel = "chart.trades.BTC-PERPETUAL.1D"
    async with Simulators(["deribit"], rate=5) as sims, opened(sims, "deribit") as socket:
        first = (await subscribed(socket, channel))[channel]["params"]["data"]
        later = (await receive(socket, lambda frame: name_of(frame) and frame["params"]["data"] != first))["params"][
            "data"
        ]
    assert later["volume"] > first["volume"] or later["tick"] > first["tick"]


def test_the_last_update_of_a_candle_is_sent() -> None:
    """The trades after the last push are sent before the next candle, and a candle without trades is filled."""
    candles = candles_of(listing_of("deribit", "BTC-USD-PERP"))
    chart = Chart(candles, "1")
    second = START_MS // 1000 * 1000
    minute = second - second % 60_000 + 60_000
    [first] = chart.changed(second)
    assert chart.changed(second) == []
    candles.on_trade(173_500, 20, "buy", minute - 100)
    last, running = chart.changed(minute + 500)
    assert (last.start, last.trades, running.start) == (first.start, first.trades + 1, minute)
    assert (running.trades, running.open) == (0, last.close)
    [filled] = chart.changed(minute + 60_500)
    assert (filled.start, filled.close) == (minute + 60_000, last.close)


@pytest.mark.parametrize("depth", [20, 10, 1])
async def test_whole_books(depth: int) -> None:
    """Each frame has the best levels of the true book; nothing is sent while they are unchanged."""
    channel = f"book.BTC-PERPETUAL.none.{depth}.100ms"
    async with Simulators(["deribit"], rate=0) as sims, opened(sims, "deribit") as socket:
        frame = (await subscribed(socket, channel))[channel]
        true = sims.true_book("deribit", "BTC-USD-PERP")
        [book] = parse(orjson.dumps(frame), PERPETUAL, NOW)
        assert isinstance(book, BookMessage)
        assert (book.kind, book.last) == ("snapshot", true.sequence)
        for side, levels in ((book.bids, true.bids), (book.asks, true.asks)):
            assert len(side.levels) == depth
            for level, expected in zip(side.levels, levels, strict=False):
                assert tuple(map(Decimal, texts_of(level))) == tuple(map(Decimal, expected))
        sims.rate = 5
        later = await receive(socket, name_of)
        assert later["params"]["data"]["change_id"] > true.sequence


async def test_liquidations_are_marked() -> None:
    """The trades that the truth calls liquidations are marked, and no others; those of options have a volatility."""
    async with Simulators(["deribit"], rate=20) as sims, opened(sims, "deribit") as socket:
        await command(socket, rpc("subscribe", channels=[f"trades.{OPTION.exchange_symbol}.100ms"]))
        true = sims.instrument("deribit", OPTION.symbol)
        trades: list[Trade] = []
        while not any(trade.kind == "liquidation_taker" for trade in trades):
            frame = await receive(socket, name_of)
            assert all(row["iv"] > 40 for row in frame["params"]["data"])
            trades += [each for each in parse(orjson.dumps(frame), OPTION, NOW) if isinstance(each, Trade)]
    for trade in trades:
        assert (trade.kind == "liquidation_taker") == true.liquidations.is_liquidation(int(trade.id))
        assert trade.kind in ("normal", "liquidation_taker")


async def test_funding_history() -> None:
    """As many hours as the poll requests, oldest first, with the settled rates."""
    row = Deribit.polls["funding_history"]
    query = row.query("ETH-PERPETUAL") | row.rows(100)
    instrument = assumed_instrument("deribit", "deribit", "ETH-USD-PERP")
    async with Simulators(["deribit"]) as sims:
        status, body, _ = await get(sims, "deribit", row.path, **query)
        true = sims.instrument("deribit", "ETH-USD-PERP").funding
    assert status == 200
    path = f"{row.path}?{'&'.join(f'{name}={value}' for name, value in query.items())}"
    found = parse_answer(answer_of("funding_history", path, NOW, orjson.dumps(body)), instrument, NOW)
    rows = [each for each in found if isinstance(each, SeriesRow)]
    hours = [each.timestamp // 1000 for each in rows]
    assert len(hours) == len(found) == 100
    assert [later - earlier for earlier, later in pairwise(hours)] == [HOUR] * 99
    assert hours[-1] == row.newest(orjson.dumps(body)) == int(query["end_timestamp"]) // HOUR * HOUR
    assert [Decimal(each.fields["rate"]) for each in rows] == [true.settled(hour) for hour in hours]
    assert len({each.fields["rate"] for each in rows}) > 10


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"instrument_name": "BTC_USDC"}, "instrument_name"),
        ({"instrument_name": "NO-PERPETUAL"}, "instrument_name"),
        ({"start_timestamp": "now"}, "start_timestamp"),
        ({"end_timestamp": ""}, "end_timestamp"),
    ],
)
async def test_malformed_requests_of_the_history(query: dict[str, str], param: str) -> None:
    """An invalid parameter is named."""
    good = {"instrument_name": "BTC-PERPETUAL", "start_timestamp": "0", "end_timestamp": "3600000"}
    async with Simulators(["deribit"]) as sims:
        status, body, _ = await get(sims, "deribit", HISTORY, **good | query)
        assert (status, body["error"]["code"], body["error"]["data"]["param"]) == (400, -32602, param)
        status, body, _ = await get(sims, "deribit", HISTORY, **good)
        assert [row["timestamp"] for row in body["result"]] == [0, HOUR]


async def test_rest_credits() -> None:
    """A burst beyond the credits of an address is answered with 10028; listings have credits of their own."""
    async with Simulators(["deribit"], rate=0) as sims:
        answers = await asyncio.gather(*(get(sims, "deribit", "/api/v2/public/test") for _ in range(200)))
        statuses = [status for status, _, _ in answers]
        assert statuses.count(200) >= 100
        [body] = {orjson.dumps(body["error"]) for status, body, _ in answers if status == 429}
        assert orjson.loads(body) == {"code": 10028, "message": "too_many_requests"}
        assert (await get(sims, "deribit", "/api/v2/public/get_instruments", currency="any"))[0] == 200


def test_credits_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand a second, up to the size of the pool; a rejected call costs nothing."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pool = Credits(500, 1_000)
    assert [pool.spend() for _ in range(4)] == [True, True, False, False]
    now += 0.0625
    assert [pool.spend() for _ in range(2)] == [True, False]
    now += 60
    assert [pool.spend() for _ in range(3)] == [True, True, False]
