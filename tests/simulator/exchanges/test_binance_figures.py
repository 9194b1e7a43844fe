"""The simulated Binance's tickers, candles, liquidations, partial books and statistics are documented and true."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from marketprism.simulator import Limits, Simulators
from marketprism.simulator.market.candles import Candle as TrueCandle
from marketprism.simulator.server.connection import now_ms
from schemas.instruments import Instrument, assumed_instrument
from schemas.markers import answer_of
from streams.levels import texts_of
from streams.normalize import parse, parse_answer
from streams.normalize.messages import BookMessage, Candle, Liquidation, Normalized, Reading, SeriesRow
from tests.simulator.clients import command, get, opened, receive, until

SPOT = assumed_instrument("binance-spot", "binance", "BTC-USDT")
USDM = assumed_instrument("binance-usdm", "binance", "BTC-USDT-PERP")
COINM = assumed_instrument("binance-coinm", "binance", "BTC-USD-PERP")
DATED = assumed_instrument("binance-coinm", "binance", "BTC-USD-261225")
PATHS = {"binance-spot": "/stream", "binance-usdm": "/market/stream", "binance-coinm": "/stream"}
PERIOD_MS = 300_000

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


async def parsed(sims: Simulators, instrument: Instrument, path: str, **query: Any) -> tuple[Any, list[Normalized]]:
    """Return the answer of a request, and its messages."""
    status, body, _ = await get(sims, instrument.feed, path, **query)
    assert status == 200, body
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = answer_of("a channel", f"{path}?{text}", now_ms() * 1000, orjson.dumps(body))
    return body, parse_answer(answer, instrument, now_ms() * 1000)


@pytest.mark.parametrize("instrument", [USDM, COINM, DATED], ids=["usdm", "coinm", "dated"])
async def test_open_interest(instrument: Instrument) -> None:
    """Open interest is the market's, in base units on USD-M and in contracts on COIN-M."""
    path = "/fapi/v1/openInterest" if instrument is USDM else "/dapi/v1/openInterest"
    async with Simulators([instrument.feed], rate=0) as sims:
        body, [reading] = await parsed(sims, instrument, path, symbol=instrument.exchange_symbol)
        market = sims.instrument(instrument.feed, instrument.symbol)
    assert isinstance(reading, Reading)
    true = market.positions.open_interest(reading.timestamp // 1000)
    [(unit, found)] = reading.fields.items()
    assert (unit, Decimal(found)) == ("contracts" if instrument.inverse else "amount", true.own)
    more = {"pair", "contractType"} if instrument.inverse else set()
    assert set(body) == {"symbol", "openInterest", "time"} | more


@each_futures_market
async def test_settled_funding(instrument: Instrument) -> None:
    """Funding rates are of the past payments, oldest first; the last is the latest."""
    path = "/fapi/v1/fundingRate" if instrument is USDM else "/dapi/v1/fundingRate"
    name = instrument.exchange_symbol
    async with Simulators([instrument.feed], rate=0) as sims:
        body, rows = await parsed(sims, instrument, path, symbol=name, limit=3)
        assert rows[1:] == (await parsed(sims, instrument, path, symbol=name, limit=2))[1]
        first = body[0]["fundingTime"]
        found, _ = await parsed(sims, instrument, path, symbol=name, startTime=first - 86_400_000, limit=2)
        assert [each["fundingTime"] for each in found] == [first - 86_400_000, first - 57_600_000]
        if instrument is COINM:
            assert await parsed(sims, instrument, path, symbol=DATED.exchange_symbol) == ([], [])
        funding = sims.instrument(instrument.feed, instrument.symbol).funding
    fields = {"symbol", "fundingTime", "fundingRate", *(["markPrice", "rateType"] if instrument is USDM else [])}
    assert all(set(each) == fields for each in body)
    for row in rows:
        assert isinstance(row, SeriesRow)
        assert Decimal(row.fields["rate"]) == funding.settled(row.timestamp // 1000)
        assert row.timestamp % 28_800_000_000 == 0
    assert 0 <= now_ms() - body[-1]["fundingTime"] < 28_800_000


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("topLongShortAccountRatio", "top accounts"),
        ("topLongShortPositionRatio", "top positions"),
        ("globalLongShortAccountRatio", "all accounts"),
    ],
)
@each_futures_market
async def test_ratios(instrument: Instrument, name: str, whose: str) -> None:
    """Each period that has ended has its true shares; the market's rows are of symbols or of pairs."""
    subject = {"symbol": "BTCUSDT"} if instrument is USDM else {"pair": "BTCUSD"}
    async with Simulators([instrument.feed], rate=0) as sims:
        path = f"/futures/data/{name}"
        body, rows = await parsed(sims, instrument, path, **subject, period="5m", limit=4)
        positions = sims.instrument(instrument.feed, instrument.symbol).positions
    for row in rows:
        assert isinstance(row, SeriesRow)
        shares = positions.shares(instrument.symbol, f"{whose} 5m", row.timestamp // 1000)
        assert (Decimal(row.fields["long"]), Decimal(row.fields["short"])) == shares
        assert row.fields["scope"] == whose.replace(" ", "_")
    times = [each["timestamp"] for each in body]
    assert all(later - earlier == PERIOD_MS for earlier, later in pairwise(times))
    assert len(times) == 4
    assert PERIOD_MS <= now_ms() - times[-1] < 2 * PERIOD_MS


@each_futures_market
async def test_taker_volumes(instrument: Instrument) -> None:
    """What takers bought and sold is the market's."""
    path, subject = "/futures/data/takerlongshortRatio", {"symbol": "BTCUSDT"}
    if instrument is COINM:
        path, subject = "/futures/data/takerBuySellVol", {"pair": "BTCUSD", "contractType": "PERPETUAL"}
    async with Simulators([instrument.feed], rate=0) as sims:
        _, rows = await parsed(sims, instrument, path, **subject, period="5m")
        positions = sims.instrument(instrument.feed, instrument.symbol).positions
    assert len(rows) == 30
    for row in rows:
        assert isinstance(row, SeriesRow)
        volumes = positions.taker_volumes(instrument.symbol, "takers 5m", row.timestamp // 1000)
        assert (Decimal(row.fields["long"]), Decimal(row.fields["short"])) == volumes


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/fapi/v1/openInterest", {}, -1102),
        ("/fapi/v1/openInterest", {"symbol": "NOSUCH"}, -1121),
        ("/fapi/v1/fundingRate", {"symbol": "BTCUSDT", "limit": "1001"}, -1130),
        ("/futures/data/topLongShortAccountRatio", {"symbol": "BTCUSDT"}, -1102),
        ("/futures/data/topLongShortAccountRatio", {"symbol": "BTCUSDT", "period": "7m"}, -1130),
        ("/futures/data/takerlongshortRatio", {"symbol": "BTCUSDT", "period": "5m", "limit": "x"}, -1130),
    ],
)
async def test_invalid_requests(path: str, query: dict[str, str], code: int) -> None:
    """Missing and invalid parameters are rejected with Binance's codes."""
    async with Simulators(["binance-usdm"], rate=0) as sims:
        status, body, _ = await get(sims, "binance-usdm", path, **query)
    assert (status, body["code"]) == (400, code)


async def test_statistics_have_limits_of_their_own() -> None:
    """Statistics and funding rates do not count as weight, but have their own windows; open interest has weight."""
    limits = Limits(weight_per_minute=2)
    async with Simulators(["binance-usdm"], rate=0, limits=limits) as sims:
        for _ in range(5):
            query = {"symbol": "BTCUSDT", "period": "5m"}
            status, _, headers = await get(sims, "binance-usdm", "/futures/data/globalLongShortAccountRatio", **query)
            assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (200, "0")
            assert (await get(sims, "binance-usdm", "/fapi/v1/fundingRate", symbol="BTCUSDT"))[0] == 200
        answers = [await get(sims, "binance-usdm", "/fapi/v1/openInterest", symbol="BTCUSDT") for _ in range(4)]
        assert 429 in [status for status, _, _ in answers]
