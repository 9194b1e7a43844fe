"""The simulated Binance's tickers, candles, liquidations and partial books are documented and true."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from marketprism.simulator import Simulators
from marketprism.simulator.market.candles import Candle as TrueCandle
from marketprism.simulator.server.connection import now_ms
from schemas.instruments import Instrument
from streams.levels import texts_of
from streams.normalize import parse
from streams.normalize.messages import BookMessage, Candle, Liquidation, Normalized, Reading
from tests.frames.binance import COINM, SPOT, USDM
from tests.simulator.clients import command, opened, receive, until

PATHS = {"binance-spot": "/stream", "binance-usdm": "/market/stream", "binance-coinm": "/stream"}

each_market = pytest.mark.parametrize("instrument", [SPOT, USDM, COINM], ids=["spot", "usdm", "coinm"])
each_futures_market = pytest.mark.parametrize("instrument", [USDM, COINM], ids=["usdm", "coinm"])


def stream_of(instrument: Instrument, name: str) -> str:
    return f"{instrument.exchange_symbol.lower()}@{name}"


async def subscribed(socket: ClientConnection, *names: str) -> None:
    assert (await command(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}))["result"] is None


async def next_of(socket: ClientConnection, instrument: Instrument, since: int = 0) -> tuple[Any, list[Normalized]]:
    """Return the data of the next frame that was sent after a time (ms), and its messages."""
    frame = await receive(socket, lambda body: body["data"].get("E", since) >= since)
    return frame["data"], parse(orjson.dumps(frame), instrument, now_ms() * 1000)


def rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-8"))


def figures(message: Candle) -> list[Decimal | int | None]:
    prices = [Decimal(each) for each in (message.open, message.high, message.low, message.close)]
    volumes = [message.volume, message.quote_volume, message.taker_buy_volume, message.taker_buy_quote_volume]
    return [*prices, message.trades, *(None if each is None else Decimal(each) for each in volumes)]


def true_figures(true: TrueCandle, inverse: bool) -> list[Decimal | int | None]:
    volumes = [
        each
        for volume in (true.traded, true.taker_bought)
        for each in (rounded(volume.base), None if inverse else volume.quote)
    ]
    return [true.open, true.high, true.low, true.close, true.trades, *volumes]


@each_market
async def test_ticker(instrument: Instrument) -> None:
    """The ticker has the documented fields, and the figures of the last 24 hours."""
    prices = {"e", "E", "s", "c", "o", "h", "l", "v", "q"}
    fields = prices | {"p", "P", "w", "Q", "O", "C", "F", "L", "n"}
    more = {"x", "b", "B", "a", "A"} if instrument is SPOT else {"ps", "st"}
    async with Simulators([instrument.feed], rate=3) as sims:
        market = sims.instrument(instrument.feed, instrument.symbol)
        await until(lambda: market.candles.trades > 3)
        sims.pause()
        async with opened(sims, instrument.feed, PATHS[instrument.feed]) as socket:
            await subscribed(socket, stream_of(instrument, "ticker"), stream_of(instrument, "miniTicker"))
            data, [reading] = await next_of(socket, instrument)
            mini, [_] = await next_of(socket, instrument)
        day = market.day.at(now_ms())
    assert set(data) == fields | more
    assert set(mini) == prices | (more & {"ps", "st"})
    assert isinstance(reading, Reading)
    found, inverse = reading.fields, instrument.inverse
    assert [Decimal(found[name]) for name in ("last", "open", "high", "low")] == [
        day.close, day.open, day.high, day.low,
    ]  # fmt: skip
    assert Decimal(found["volume"]) == rounded(day.base_volume)
    assert found["quote_volume"] is None if inverse else Decimal(found["quote_volume"]) == day.quote_volume
    assert found["trades"] == day.trades


@each_market
async def test_running_candles(instrument: Instrument) -> None:
    """Klines of every interval have the documented fields, and the figures of the running candle."""
    intervals = ["1m", "3d", "1w", "1M", *(["1s"] if instrument is SPOT else [])]
    names = [stream_of(instrument, f"kline_{interval}") for interval in intervals]
    async with Simulators([instrument.feed], rate=3) as sims:
        market = sims.instrument(instrument.feed, instrument.symbol)
        await until(lambda: market.candles.trades > 3)
        sims.pause()
        paused_at = now_ms() + 1
        async with opened(sims, instrument.feed, PATHS[instrument.feed]) as socket:
            await subscribed(socket, *names)
            seen = set[str]()
            while seen != set(intervals):
                data, [candle] = await next_of(socket, instrument, paused_at)
                assert set(data) == {"e", "E", "s", "k", *(["ps", "st"] if instrument is not SPOT else [])}
                assert set(data["k"]) == {*"tTsifLochlvnxqVQB"}
                assert isinstance(candle, Candle)
                true = market.candles.between(candle.start // 1000, candle.end // 1000, now_ms())
                assert figures(candle) == true_figures(true, instrument.inverse)
                assert (candle.start, candle.end) == (data["k"]["t"] * 1000, (data["k"]["T"] + 1) * 1000)
                seen.add(candle.interval)


async def test_each_candle_is_closed_once() -> None:
    """The last update of a candle is marked, the next begins where it ended, and none is left out."""
    async with Simulators(["binance-spot"], rate=3) as sims, opened(sims, "binance-spot") as socket:
        await subscribed(socket, "btcusdt@kline_1s")
        closed: list[Candle] = []
        while len(closed) < 3:
            _, [candle] = await next_of(socket, SPOT)
            assert isinstance(candle, Candle)
            assert not closed or candle.start >= closed[-1].end
            if candle.closed:
                closed.append(candle)
        market = sims.instrument("binance-spot", "BTC-USDT")
        for each in closed:
            true = market.candles.between(each.start // 1000, each.end // 1000, now_ms())
            assert figures(each) == true_figures(true, inverse=False)
    assert all(later.start == earlier.end for earlier, later in pairwise(closed))


async def test_continuous_candles() -> None:
    """Each contract of a pair has its continuous stream, without a symbol; of no other there are data."""
    names = [f"btcusd_{contract}@continuousKline_1m" for contract in ("perpetual", "current_quarter", "next_quarter")]
    async with Simulators(["binance-coinm"]) as sims, opened(sims, "binance-coinm") as socket:
        await subscribed(socket, *names)
        seen: dict[str, Any] = {}
        while len(seen) < 2:
            frame = await receive(socket)
            seen[frame["stream"]] = frame["data"]
        assert sorted(seen) == sorted(names[:2])
        market = sims.instrument("binance-coinm", "BTC-USD-261225")
        true = market.candles.between(seen[names[1]]["k"]["t"], seen[names[1]]["k"]["T"] + 1, now_ms())
    assert all(set(data) == {"e", "E", "ps", "ct", "k"} for data in seen.values())
    assert all(set(data["k"]) == {*"tTifLochlvnxqVQB"} for data in seen.values())
    assert Decimal(seen[names[1]]["k"]["o"]) == true.open
    [candle] = parse(orjson.dumps({"stream": names[0], "data": seen[names[0]]}), COINM, now_ms())
    assert isinstance(candle, Candle)
    assert candle.contract == "perpetual"


@each_futures_market
async def test_liquidations(instrument: Instrument) -> None:
    """Forced orders are the market's, at most one a second."""
    fields = {"s", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T"}
    async with Simulators([instrument.feed], rate=10) as sims:
        market = sims.instrument(instrument.feed, instrument.symbol)
        async with opened(sims, instrument.feed, PATHS[instrument.feed]) as socket:
            await subscribed(socket, stream_of(instrument, "forceOrder"))
            data, [found] = await next_of(socket, instrument)
            true = {each.at_ms: each for each in market.liquidations.recent}[data["o"]["T"]]
    assert set(data) == {"e", "E", "o"}
    assert set(data["o"]) == fields | ({"ps"} if instrument is COINM else set())
    assert isinstance(found, Liquidation)
    listing = market.listing
    assert (found.side, found.price) == (true.side, listing.price_text(true.price))
    assert found.average_price == listing.price_text(true.average)
    assert Decimal(found.amount) == listing.base_amount(true.lots, true.average)
    assert found.sampled


@each_market
async def test_partial_books(instrument: Instrument) -> None:
    """A partial book is the best levels of the true one, and is sent when the book has changed."""
    path = "/public/stream" if instrument is USDM else "/stream"
    async with Simulators([instrument.feed], rate=3) as sims, opened(sims, instrument.feed, path) as socket:
        names = [stream_of(instrument, name) for name in ("depth5@100ms", "depth10@100ms", "depth20")]
        await subscribed(socket, *names)
        seen: dict[str, BookMessage] = {}
        while len(seen) < 3:
            name, message = await next_book(socket, instrument)
            seen[name] = message
        assert [len(seen[name].bids.levels) for name in names] == [5, 10, 20]
        sims.pause()
        true = sims.true_book(instrument.feed, instrument.symbol)
        name, message = names[0], seen[names[0]]
        while name != names[0] or message.last < true.sequence:
            name, message = await next_book(socket, instrument)
    assert message.last == true.sequence
    assert [tuple(texts_of(level)) for level in message.bids.levels] == true.bids[:5]
    assert [tuple(texts_of(level)) for level in message.asks.levels] == true.asks[:5]


async def next_book(socket: ClientConnection, instrument: Instrument) -> tuple[str, BookMessage]:
    """Return the stream of the next frame, and the book that it holds."""
    frame = await receive(socket)
    [message] = parse(orjson.dumps(frame), instrument, now_ms() * 1000)
    assert isinstance(message, BookMessage)
    assert message.kind == "snapshot"
    return frame["stream"], message
