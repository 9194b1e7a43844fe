"""Planted arbitrages pay exactly the expected profit in clients' books."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from marketprism.simulator import (
    Arbitrage,
    Simulators,
)
from marketprism.simulator.market.arbitrage import SETTLE_S, expected_profit
from schemas.instruments import assumed_instrument
from streams.normalize.amounts import base_amount
from tests.simulator.clients import (
    Follower,
    following,
    settled,
    until,
)


async def test_expected_profit() -> None:
    """The calculation by hand, for books of which two levels pay after fees and the third does not."""
    asks = [(Decimal(100), Decimal(1)), (Decimal("100.5"), Decimal(2)), (Decimal(102), Decimal(9))]
    bids = [(Decimal(102), Decimal(2)), (Decimal("101.5"), Decimal(5))]
    result = expected_profit(asks, bids, 10.0, 10.0)
    assert Decimal(result["amount"]) == 3
    sold, bought = 2 * 102 + Decimal("101.5"), 100 + 2 * Decimal("100.5")
    assert Decimal(result["profit"]) == sold * Decimal("0.999") - bought * Decimal("1.001")
    assert result["gross_bps"] == pytest.approx(200)
    nothing = expected_profit(asks, [(Decimal("100.1"), Decimal(1))], 10.0, 10.0)
    assert Decimal(nothing["amount"]) == Decimal(nothing["profit"]) == 0


@pytest.mark.parametrize(
    ("symbol", "buy", "sell"),
    [
        ("BTC-USDT", "binance-spot", "okx"),
        ("BTC-USDT-PERP", "okx", "binance-usdm"),
        ("BTC-USD-PERP", "deribit", "okx"),
        ("BTC-USD-PERP", "okx", "deribit"),
        ("BTC-USD-PERP", "binance-coinm", "okx"),
    ],
)
async def test_planted_arbitrage(symbol: str, buy: str, sell: str) -> None:
    """While it runs, clients' books pay exactly the expected profit and quotes stay fresh; otherwise they lose."""

    def result(buyer: Follower, seller: Follower) -> dict[str, Any]:
        asks = [_base(level, symbol, buy) for level in buyer.book.levels()[1][:5]]
        bids = [_base(level, symbol, sell) for level in seller.book.levels()[0][:5]]
        return expected_profit(asks, bids, 5.0, 5.0)

    async with (
        Simulators([buy, sell], seed=9) as sims,
        following(sims, buy, symbol) as buyer,
        following(sims, sell, symbol) as seller,
    ):
        assert result(buyer, seller)["net_bps"] < 0
        plan = Arbitrage(symbol=symbol, buy=buy, sell=sell, bps=30, seconds=0.5, buy_fee_bps=5, sell_fee_bps=5)
        planted = await sims.plant(plan)
        await until(lambda: planted.started_at)
        started = time.monotonic()
        while time.monotonic() < started + 0.15:  # until all frames have arrived, it pays less, never more
            assert Decimal(result(buyer, seller)["profit"]) <= Decimal(planted.result["profit"])
            await asyncio.sleep(0.005)
        ages = {id(client): (len(client.bbos), time.monotonic()) for client in (buyer, seller)}
        oldest = 0.0
        while not planted.ended_at and (time.time_ns() - planted.started_at) < 0.45e9:
            assert result(buyer, seller).items() <= planted.result.items()
            for client in (buyer, seller):
                count, since = ages[id(client)]
                oldest = max(oldest, time.monotonic() - since)
                if len(client.bbos) != count:
                    ages[id(client)] = (len(client.bbos), time.monotonic())
            await asyncio.sleep(0.01)
        assert oldest < 0.25
        assert 30 <= planted.result["gross_bps"] < 30.1
        assert Decimal(planted.result["profit"]) > 0
        await planted.over()
        await asyncio.sleep(SETTLE_S + 0.1)
        assert result(buyer, seller)["net_bps"] < 0
        await sims.plant(plan)  # possible, as both books were released
        assert (buyer.book.gaps, seller.book.gaps) == (0, 0)
        for client, feed in ((buyer, buy), (seller, sell)):
            assert client.book.equals(await settled(sims, feed, symbol, client.book))


_CONTRACTS = {
    ("okx", "BTC-USDT-PERP"): "0.01",
    ("okx", "BTC-USD-PERP"): "100",
    ("binance-coinm", "BTC-USD-PERP"): "100",
}


def _base(level: tuple[str, str], symbol: str, feed: str) -> tuple[Decimal, Decimal]:
    price, amount = level
    instrument = assumed_instrument(feed, feed, symbol)
    instrument = instrument.model_copy(update={"contract_size": _CONTRACTS.get((feed, symbol), "1")})
    return Decimal(price), Decimal(base_amount(instrument, price, amount))
