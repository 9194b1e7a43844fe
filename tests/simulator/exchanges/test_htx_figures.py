"""The simulated HTX sends what the connectors subscribe to and poll, and it is parsed to the market's true figures."""

import asyncio
import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
import pytest
from msgspec.structs import asdict
from websockets.asyncio.client import ClientConnection

from ingest.exchanges.base import Connector
from ingest.exchanges.htx import HtxLinear, HtxSpot
from marketprism.simulator import BookView, Limits, Simulators
from marketprism.simulator.exchanges.htx.figures import INTERVALS
from marketprism.simulator.exchanges.htx.rest import RATIO_PERIODS, SETTLEMENTS
from marketprism.simulator.market.candles import Candle as TrueCandle
from marketprism.simulator.market.instrument import SimulatedInstrument
from schemas.instruments import Instrument, assumed_instrument
from schemas.markers import answer_of
from streams.levels import texts_of
from streams.normalize import parse, parse_answer
from streams.normalize.messages import BookMessage, Candle, CheckedLevels, Liquidation, Normalized, Reading, SeriesRow
from tests.simulator.clients import get, opened

SPOT = assumed_instrument("htx-spot", "htx", "BTC-USDT")
SWAP = assumed_instrument("htx-linear", "htx", "BTC-USDT-PERP").model_copy(update={"contract_size": "0.001"})
FIGURES = ("tickers", "candles", "mark_prices", "funding")


async def first_messages(
    sims: Simulators, connector: Connector, instrument: Instrument, channels: Iterable[str] = ()
) -> dict[str, list[Normalized]]:
    """Subscribe to these channels, or all that are wanted, and return what the first frame of each is parsed to."""
    found: dict[str, list[Normalized]] = {}
    for path in connector.paths:
        wanted = set(channels or connector.channels_on(path)) & set(connector.channels_on(path))
        if not wanted:
            continue
        async with opened(sims, connector.name, path) as socket, asyncio.timeout(10):
            await subscribe(socket, connector, instrument, wanted)
            while not wanted <= found.keys():
                frame = connector.decode(await socket.recv(decode=False))
                route = connector.route(frame)
                if route.kind == "data":
                    found.setdefault(route.channel, parse(frame, instrument, 0))
    return found


async def subscribe(
    socket: ClientConnection, connector: Connector, instrument: Instrument, channels: Iterable[str]
) -> None:
    routes = [connector.route_of(instrument.exchange_symbol, channel) for channel in sorted(channels)]
    for number, route in enumerate(routes):
        for request in connector.subscribe([route], iter([number])):
            await socket.send(request.text)


def check_sums(message: Normalized, true: TrueCandle) -> None:
    """Check the prices and sums of a candle or of 24 hours."""
    if isinstance(message, Reading):
        fields = message.fields
    else:
        assert isinstance(message, Candle)
        fields = asdict(message) | {"last": message.close}
    prices = [Decimal(fields[name]) for name in ("open", "high", "low", "last")]
    assert prices == [true.open, true.high, true.low, true.close]
    assert (Decimal(fields["volume"]), Decimal(fields["quote_volume"])) == (true.base_volume, true.quote_volume)
    assert fields["trades"] == true.trades


async def traded(sims: Simulators, instrument: SimulatedInstrument) -> None:
    """Let the market trade, and stop it."""
    async with asyncio.timeout(5):
        while instrument.candles.trades < 3:
            await asyncio.sleep(0.02)
    sims.pause()


@pytest.mark.parametrize(
    ("connector", "instrument"), [(HtxSpot(FIGURES), SPOT), (HtxLinear(FIGURES), SWAP)], ids=["spot", "linear"]
)
async def test_tickers_and_candles(connector: Connector, instrument: Instrument) -> None:
    """The statistics of 24 hours and every interval's running candle are the true ones."""
    async with Simulators([connector.name], rate=5) as sims:
        true = sims.instrument(connector.name, instrument.symbol)
        await traded(sims, true)
        candles = {name for name in connector.channels if name.startswith("candles_")}
        found = await first_messages(sims, connector, instrument, {"tickers", *candles})
        [ticker] = found.pop("tickers")
        assert isinstance(ticker, Reading)
        check_sums(ticker, true.day.at(ticker.timestamp // 1000))
        for [candle] in found.values():
            assert isinstance(candle, Candle)
            # Just after its end, it may still be the last candle.
            start, end = INTERVALS[candle.interval](candle.start // 1000)
            assert (candle.start, candle.end) == (start * 1000, end * 1000)
            check_sums(candle, true.candles.between(start, end, candle.timestamp // 1000))


async def test_variant_of_tickers() -> None:
    """Spot's `ticker` says the same."""
    connector = HtxSpot(["tickers"], variants={"tickers": "ticker"})
    async with Simulators(["htx-spot"], rate=0) as sims:
        [ticker] = (await first_messages(sims, connector, SPOT))["tickers"]
        assert isinstance(ticker, Reading)
        check_sums(ticker, sims.instrument("htx-spot", "BTC-USDT").day.at(ticker.timestamp // 1000))


async def test_mark_and_index_prices() -> None:
    """Both are on a path of their own."""
    connector = HtxLinear(["mark_prices"])
    async with Simulators(["htx-linear"], rate=0) as sims:
        sims.pause()
        found = await first_messages(sims, connector, SWAP)
        true = sims.true_funding("htx-linear", "BTC-USDT-PERP")
        readings = [reading for [reading] in found.values() if isinstance(reading, Reading)]
        fields = {name: value for reading in readings for name, value in reading.fields.items()}
        assert fields == {"mark_price": true.mark, "index_price": true.index}


def numbers(side: CheckedLevels) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(amount)) for price, amount in map(texts_of, side.levels)]


def true_levels(view: BookView) -> list[list[tuple[Decimal, Decimal]]]:
    return [[(Decimal(price), Decimal(amount)) for price, amount in side] for side in (view.bids, view.asks)]


@pytest.mark.parametrize(
    ("connector", "instrument", "count"),
    [
        *((HtxSpot(["books"], variants={"books": f"mbp.refresh.{count}"}), SPOT, count) for count in (5, 10, 20)),
        (HtxSpot(["books"], variants={"books": "depth.step0"}), SPOT, 60),
        (HtxLinear(["books"], variants={"books": "depth.step0"}), SWAP, 60),
        (HtxLinear(["books"], variants={"books": "depth.step6"}), SWAP, 30),
    ],
    ids=["5", "10", "20", "step0", "linear-step0", "linear-step6"],
)
async def test_whole_books(connector: Connector, instrument: Instrument, count: int) -> None:
    """The best levels of the true book at its id."""
    async with Simulators([connector.name], levels=60) as sims:
        sims.pause()
        [book] = (await first_messages(sims, connector, instrument))["books"]
        true = sims.true_book(connector.name, instrument.symbol)
        assert isinstance(book, BookMessage)
        assert (book.kind, book.last) == ("snapshot", true.sequence)
        assert [numbers(book.bids), numbers(book.asks)] == [side[:count] for side in true_levels(true)]


@pytest.mark.parametrize(("step", "unit"), [(1, "0.1"), (2, "1"), (3, "10"), (4, "50"), (5, "1000")])
async def test_merged_books(step: int, unit: str) -> None:
    """Each level holds what the true book has between it and the next better one; it is never better than that."""
    connector, size = HtxSpot(["books"], variants={"books": f"depth.step{step}"}), Decimal(unit)
    async with Simulators(["htx-spot"], levels=60) as sims:
        sims.pause()
        [book] = (await first_messages(sims, connector, SPOT))["books"]
        assert isinstance(book, BookMessage)
        bids, asks = true_levels(sims.true_book("htx-spot", "BTC-USDT"))
        for side, levels, sign in ((numbers(book.bids), bids, 1), (numbers(book.asks), asks, -1)):
            assert 0 < len(side) <= 20
            for price, amount in side:
                assert price % size == 0
                assert amount == sum(each for at, each in levels if 0 <= sign * (at - price) < size)


async def test_liquidations() -> None:
    """Each liquidation is notified, with the bankruptcy price of the true order."""
    connector = HtxLinear(["liquidations"])
    async with Simulators(["htx-linear"], rate=0) as sims:
        true = sims.instrument("htx-linear", "BTC-USDT-PERP")
        async with opened(sims, "htx-linear", connector.paths[0]) as socket, asyncio.timeout(10):
            await subscribe(socket, connector, SWAP, ["liquidations"])
            sims.rate = 20
            found: list[Normalized] = []
            while not found:
                frame = connector.decode(await socket.recv(decode=False))
                if connector.route(frame).kind == "data":
                    found = parse(frame, SWAP, 0)
        orders = [
            (each.at_ms * 1000, each.side, true.listing.price(each.price), true.listing.base_amount(each.lots, 1))
            for each in true.liquidations.recent
        ]
        [order] = found
        assert isinstance(order, Liquidation)
        assert (order.timestamp, order.side, Decimal(order.price or 0), Decimal(order.amount)) in orders


# REST


async def poll(sims: Simulators, name: str) -> tuple[bytes, list[Normalized]]:
    """Send a poll's request as its row says; return the answer, and what it is parsed to."""
    row = HtxLinear.polls[name]
    query = row.query("BTC-USDT") | row.rows(row.most)
    address = sims.endpoints["htx-linear"]["rest"] + row.path
    async with aiohttp.ClientSession() as http, http.get(address, params=query) as response:
        body = await response.read()
    path = f"{row.path}?{'&'.join(f'{key}={value}' for key, value in query.items())}"
    return body, parse_answer(answer_of(name, path, 0, body), SWAP, 0)


async def test_open_interest() -> None:
    """In contracts, coins and USDT."""
    async with Simulators(["htx-linear"], rate=0) as sims:
        _, [reading] = await poll(sims, "open_interest")
        assert isinstance(reading, Reading)
        positions = sims.instrument("htx-linear", "BTC-USDT-PERP").positions
        true = positions.open_interest(reading.timestamp // 1000)
        assert {name: Decimal(value) for name, value in reading.fields.items()} == {
            "contracts": true.own, "amount": true.base, "value": true.quote,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "scope"), [("top_account_ratios", "top accounts"), ("top_position_ratios", "top positions")]
)
async def test_ratios(name: str, scope: str) -> None:
    """The shares of the last periods, oldest first, of which the last is the newest for the scheduler."""
    async with Simulators(["htx-linear"], rate=0) as sims:
        body, rows = await poll(sims, name)
        positions = sims.instrument("htx-linear", "BTC-USDT-PERP").positions
        assert len(rows) == RATIO_PERIODS
        for row in rows:
            assert isinstance(row, SeriesRow)
            true = positions.shares("BTC-USDT-PERP", f"{scope} 5m", row.timestamp // 1000)
            assert (Decimal(row.fields["long"]), Decimal(row.fields["short"])) == true
        newest = rows[-1]
        assert isinstance(newest, SeriesRow)
        assert HtxLinear.polls[name].newest(body) * 1000 == newest.timestamp
        assert newest.timestamp % 300_000_000 == 0


async def test_settled_rates() -> None:
    """The rates of the last payments, every 8 hours, in pages from the newest back."""
    async with Simulators(["htx-linear"], rate=0) as sims:
        body, rows = await poll(sims, "funding_history")
        funding = sims.instrument("htx-linear", "BTC-USDT-PERP").funding
        times = [row.timestamp // 1000 for row in rows if isinstance(row, SeriesRow)]
        assert times == list(range(times[0], times[0] + 50 * 28_800_000, 28_800_000))
        rates = [Decimal(row.fields["rate"]) for row in rows if isinstance(row, SeriesRow)]
        assert rates == [funding.settled(at) for at in times]
        assert HtxLinear.polls["funding_history"].newest(body) == times[-1]
        path, query = HtxLinear.polls["funding_history"].path, {"contract_code": "btc-usdt", "page_index": "2"}
        _, second, _ = await get(sims, "htx-linear", path, page_size="50", **query)
        assert second["data"]["data"][0]["funding_time"] == str(times[0] - 28_800_000)
        assert (second["data"]["total_page"], second["data"]["total_size"]) == (3, SETTLEMENTS)


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("swap_open_interest", {"contract_code": "NO-SUCH"}, 1332),
        ("swap_open_interest", {}, 1332),
        ("swap_elite_account_ratio", {"contract_code": "BTC-USDT"}, 1030),
        ("swap_elite_account_ratio", {"contract_code": "BTC-USDT", "period": "2min"}, 1030),
        ("swap_historical_funding_rate", {"contract_code": "BTC-USDT", "page_size": "51"}, 1030),
        ("swap_historical_funding_rate", {"contract_code": "BTC-USDT", "page_index": "first"}, 1030),
    ],
)
async def test_errors_of_rest(name: str, query: dict[str, str], code: int) -> None:
    """Errors come with HTTP status 200."""
    async with Simulators(["htx-linear"], rate=0) as sims:
        status, body, _ = await get(sims, "htx-linear", f"/linear-swap-api/v1/{name}", **query)
        assert (status, body["status"], body["err_code"]) == (200, "error", code)


async def test_limit_of_rest() -> None:
    """All endpoints about swaps share one limit in 3 s, of which each answer says what is left."""
    path, query = "/linear-swap-api/v1/swap_open_interest", {"contract_code": "BTC-USDT"}
    async with Simulators(["htx-linear"], rate=0) as sims:
        _, _, headers = await get(sims, "htx-linear", path, **query)
        assert (headers["ratelimit-limit"], headers["ratelimit-interval"]) == ("240", "3000")
        assert headers["ratelimit-remaining"] == "239"
    async with Simulators(["htx-linear"], rate=0, limits=Limits(weight_per_minute=40)) as sims:
        statuses = [(await get(sims, "htx-linear", path, **query))[0] for _ in range(2)]
        statuses.append((await get(sims, "htx-linear", "/linear-swap-api/v1/swap_contract_info"))[0])
        assert statuses == [200, 200, 429]


async def test_limits_of_spot_rest() -> None:
    """Each endpoint of spot has a limit of its own in 5 minutes, of which each answer says what is left."""
    depth, query = "/market/depth", {"symbol": "btcusdt", "type": "step0", "period": "1min"}
    async with Simulators(["htx-spot"], rate=0) as sims:
        _, _, headers = await get(sims, "htx-spot", depth, **query)
        assert headers["X-HB-RateLimit-Requests-Remain"] == "3999"
        assert 0 < int(headers["X-HB-RateLimit-Requests-Expire"]) / 1000 - time.time() <= 300
    async with Simulators(["htx-spot"], rate=0, limits=Limits(weight_per_minute=1)) as sims:
        answers = [await get(sims, "htx-spot", depth, **query) for _ in range(11)]  # two windows have room for ten
        assert {status for status, *_ in answers} == {200, 429}
        assert {body.get("err-code") for _, body, _ in answers} == {None, "too-many-requests"}
        assert (await get(sims, "htx-spot", "/market/history/kline", **query))[0] == 200


@pytest.mark.parametrize(
    ("topic", "path"),
    [
        ("market.BTC-USDT.mark_price.1min", "/linear-swap-ws"),
        ("market.BTC-USDT.index.1min", "/linear-swap-ws"),
        ("market.BTC-USDT.kline.1min", "/ws_index"),
        ("market.BTC-USDT.kline.1year", "/linear-swap-ws"),
    ],
)
async def test_each_path_serves_its_own_topics(topic: str, path: str) -> None:
    """Another path's topic is invalid, and so is a period that swaps do not have."""
    connector = HtxLinear()
    async with Simulators(["htx-linear"], rate=0) as sims, opened(sims, "htx-linear", path) as socket:
        await socket.send(orjson.dumps({"sub": topic, "id": "1"}).decode())
        async with asyncio.timeout(5):
            answer: dict[str, Any] = {}
            while "id" not in answer:
                answer = orjson.loads(connector.decode(await socket.recv(decode=False)))
        assert (answer["status"], answer["err-msg"]) == ("error", f"invalid topic {topic}")
