"""The simulated OKX's figures are as documented, and the pipeline parses them to the true ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from marketprism.simulator import Simulators, WrongClock
from marketprism.simulator.exchanges.okx.candles import INTERVALS
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.server.connection import now_ms
from schemas.exchanges.okx import BARS
from schemas.instruments import Instrument, defined_instrument
from schemas.intervals import end_of
from streams.normalize import parse
from streams.normalize.messages import Candle, Liquidation
from tests.simulator.clients import command, opened, receive, send

PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"
SYMBOLS = ["BTC-USDT", "ETH-USDT-PERP", "BTC-USD-PERP", "BTC-USD-270625-95000-C"]
DERIVATIVES = SYMBOLS[1:]
OPTION = SYMBOLS[-1]


def definition(instrument: SimulatedInstrument) -> Instrument:
    listing = instrument.listing
    return defined_instrument(
        "okx", "okx", listing.symbol, contract_size=str(listing.contract), inverse=listing.inverse
    )


@asynccontextmanager
async def subscribed(sims: Simulators, path: str, **arg: str) -> AsyncIterator[ClientConnection]:
    async with opened(sims, "okx", path) as socket:
        answer = await command(socket, {"op": "subscribe", "args": [arg]})
        assert answer["event"] == "subscribe"
        yield socket


async def first(sims: Simulators, instrument: SimulatedInstrument, path: str, **arg: str) -> tuple[Any, list[Any]]:
    """Return the first push of a channel, and what the pipeline makes of it."""
    async with opened(sims, "okx", path) as socket:
        await send(socket, {"op": "subscribe", "args": [arg]})
        frame = await receive(socket, lambda body: "data" in body)
    assert frame["arg"] == arg
    return frame, parse(orjson.dumps(frame), definition(instrument), 1)


def numbers(fields: dict[str, Any], *names: str) -> list[Decimal | None]:
    return [None if fields[name] is None else Decimal(fields[name]) for name in names]


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_tickers(symbol: str) -> None:
    """A ticker has the last 24 hours, and the best levels of the book."""
    async with Simulators(["okx"], rate=0) as sims:
        instrument = sims.instrument("okx", symbol)
        name = instrument.listing.exchange_symbol
        frame, [reading] = await first(sims, instrument, PUBLIC, channel="tickers", instId=name)
        [row] = frame["data"]
        assert set(row) == {
            "instType", "instId", "last", "lastSz", "askPx", "askSz", "bidPx", "bidSz", "open24h", "high24h", "low24h",
            "volCcy24h", "vol24h", "sodUtc0", "sodUtc8", "ts",
        }  # fmt: skip
        day, is_spot = instrument.day.at(int(row["ts"])), symbol == "BTC-USDT"
        names = ("last", "open", "high", "low", "volume", "quote_volume")
        true = [day.close, day.open, day.high, day.low, day.base_volume, day.quote_volume if is_spot else None]
        assert numbers(reading.fields, *names) == true
        bid, ask = (side[0] for side in (sims.true_book("okx", symbol).bids, sims.true_book("okx", symbol).asks))
        assert (row["bidPx"], row["bidSz"], row["askPx"], row["askSz"]) == (*bid, *ask)


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("interval", ["1s", "1m", "1h", "12h", "1d", "1w", "1M", "3M"])
async def test_candles(symbol: str, interval: str) -> None:
    """The running candle is sent to a new subscriber, with the true figures."""
    async with Simulators(["okx"], rate=0) as sims:
        instrument = sims.instrument("okx", symbol)
        arg = {"channel": f"candle{BARS[interval]}", "instId": instrument.listing.exchange_symbol}
        _, [candle] = await first(sims, instrument, BUSINESS, **arg)
        assert isinstance(candle, Candle)
        true = instrument.candles.between(candle.start // 1000, candle.end // 1000, 0)
        prices = [Decimal(each) for each in (candle.open, candle.high, candle.low, candle.close)]
        assert prices == [true.open, true.high, true.low, true.close]
        assert Decimal(candle.volume or -1) == true.base_volume
        assert Decimal(candle.quote_volume or -1) == true.quote_volume
        assert candle.closed is False


@pytest.mark.parametrize("interval", BARS)
def test_intervals(interval: str) -> None:
    """The simulated intervals end where the pipeline expects it, and begin where the last one has ended."""
    now = 1_790_000_000_000
    start, end = INTERVALS[interval](now)
    assert start <= now < end
    assert end_of(start * 1000, interval) == end * 1000
    assert INTERVALS[interval](start - 1)[1] == start


async def test_candles_are_closed_once() -> None:
    """A candle's last push is the closed one, and the next begins where it ends."""
    async with (
        Simulators(["okx"], rate=5) as sims,
        subscribed(sims, BUSINESS, channel="candle1s", instId="BTC-USDT-SWAP") as socket,
    ):
        rows: list[list[str]] = []
        while sum(row[-1] == "1" for row in rows) < 3:
            frame = await receive(socket, lambda body: "data" in body)
            rows += frame["data"]
        closed = [row for row in rows if row[-1] == "1"]
        assert [int(later[0]) - int(row[0]) for row, later in pairwise(closed)] == [1000, 1000]
        candles = sims.instrument("okx", "BTC-USDT-PERP").candles
        for row in closed:
            true = candles.between(int(row[0]), int(row[0]) + 1000, 0)
            assert [Decimal(each) for each in row[1:8]] == [
                true.open, true.high, true.low, true.close, true.volume, true.base_volume, true.quote_volume
            ]  # fmt: skip


@pytest.mark.parametrize("symbol", DERIVATIVES)
async def test_mark_prices(symbol: str) -> None:
    """Every derivative has a mark price, an option's in coins."""
    async with Simulators(["okx"], rate=0) as sims:
        sims.pause()
        instrument = sims.instrument("okx", symbol)
        name = instrument.listing.exchange_symbol
        frame, [reading, *_] = await first(sims, instrument, PUBLIC, channel="mark-price", instId=name)
        assert set(frame["data"][0]) == {"instType", "instId", "markPx", "ts"}
        assert (reading.topic, Decimal(reading.fields["mark_price"])) == ("market.mark_prices", instrument.mark)


@pytest.mark.parametrize("symbol", DERIVATIVES)
async def test_open_interest(symbol: str) -> None:
    """It is in contracts, base units and dollars."""
    async with Simulators(["okx"], rate=0) as sims:
        sims.pause()
        instrument = sims.instrument("okx", symbol)
        name = instrument.listing.exchange_symbol
        frame, [reading] = await first(sims, instrument, PUBLIC, channel="open-interest", instId=name)
        [row] = frame["data"]
        assert set(row) == {"instType", "instId", "oi", "oiCcy", "oiUsd", "ts"}
        true = instrument.positions.open_interest(int(row["ts"]))
        usd = (true.base * instrument.funding.index).quantize(Decimal("0.01")) if symbol == OPTION else true.quote
        value = usd if instrument.listing.quote == "USD" else None
        assert numbers(reading.fields, "contracts", "amount", "value") == [true.own, true.base, value]


async def test_options() -> None:
    """One push has all options of a family; each is parsed to its own volatilities and greeks."""
    async with Simulators(["okx"], rate=0) as sims:
        sims.pause()
        instrument = sims.instrument("okx", OPTION)
        option = instrument.option
        assert option is not None
        frame, [reading] = await first(sims, instrument, PUBLIC, channel="opt-summary", instFamily="BTC-USD")
        assert [row["instId"] for row in frame["data"]] == ["BTC-USD-270625-95000-C", "BTC-USD-270625-80000-P"]
        assert all(
            set(row) == {
                "instType", "instId", "uly", "delta", "gamma", "vega", "theta", "lever", "markVol", "bidVol", "askVol",
                "realVol", "deltaBS", "gammaBS", "thetaBS", "vegaBS", "fwdPx", "volLv", "ts",
            }
            for row in frame["data"]
        )  # fmt: skip
        greeks, names = option.greeks, ("delta", "gamma", "vega", "theta")
        assert numbers(reading.fields, *names) == [getattr(greeks, name) for name in names]
        volatilities = [each / 100 for each in (option.mark_iv, option.bid_iv, option.ask_iv)]
        assert numbers(reading.fields, "mark_iv", "bid_iv", "ask_iv") == volatilities
        assert Decimal(reading.fields["underlying_price"]) == option.underlying_price


async def test_liquidations() -> None:
    """A liquidation is pushed to the subscribers of the contract's type, and parsed to the true order."""
    async with (
        Simulators(["okx"], rate=20) as sims,
        subscribed(sims, PUBLIC, channel="liquidation-orders", instType="SWAP") as socket,
    ):
        frame = await receive(socket, lambda body: "data" in body)
        [row] = frame["data"]
        by_name = {f"{each}-SWAP": f"{each}-PERP" for each in ("BTC-USDT", "ETH-USDT", "BTC-USD", "ETH-USD")}
        instrument = sims.instrument("okx", by_name[row["instId"]])
        [liquidation] = parse(orjson.dumps(frame), definition(instrument), 1)
        assert isinstance(liquidation, Liquidation)
        order, listing = instrument.liquidations.recent[0], instrument.listing
        assert liquidation.timestamp == order.at_ms * 1000
        assert liquidation.side == order.side
        assert Decimal(liquidation.price or 0) == listing.price(order.price)
        assert Decimal(liquidation.amount) == listing.base_amount(order.lots, order.price)


async def test_settlement_prices() -> None:
    """The estimate of the price of delivery is pushed in the last hour before it, and not earlier."""
    arg = {"channel": "estimated-price", "instType": "OPTION", "instFamily": "BTC-USD"}
    async with Simulators(["okx"], rate=0) as sims:
        instrument = sims.instrument("okx", OPTION)
        assert instrument.option is not None
        sims.pause()
        async with subscribed(sims, PUBLIC, **arg) as socket:
            await socket.send("ping")
            assert await socket.recv() == "pong"
        ahead = instrument.option.expiry_ms - 1_800_000 - now_ms()
        await sims.plant(WrongClock(feed="okx", offset_ms=ahead, seconds=60))
        frame, [reading] = await first(sims, instrument, PUBLIC, **arg)
        assert {(row["instId"], row["settleType"]) for row in frame["data"]} == {
            ("BTC-USD-270625-95000-C", "exercise"), ("BTC-USD-270625-80000-P", "exercise")
        }  # fmt: skip
        assert numbers(reading.fields, "settlement_price") == [instrument.funding.index]
