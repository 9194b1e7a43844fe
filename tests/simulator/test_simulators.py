"""`Simulators`: the ground truth of trades, depths, and the rejection of invalid arguments and plans."""

import pytest

from marketprism.simulator import (
    Arbitrage,
    Gap,
    Simulators,
    Stall,
)
from schemas.errors import StackError
from tests.simulator.clients import (
    Follower,
    channel_of,
    each_feed,
    following,
    settled,
    until,
)


@each_feed
async def test_trades_are_complete_without_duplicates(feed: str, symbol: str) -> None:
    """From its first trade on, a client receives exactly the true trade ids, also when the rate changes."""
    async with Simulators([feed], rate=2) as sims, following(sims, feed, symbol) as client:
        await until(lambda: _trades(client))
        sims.rate = 20
        await until(lambda: len(_trades(client)) > 30)
        await settled(sims, feed, symbol, client.book)
        true = sims.true_trades(feed, symbol)
        await until(lambda: _trades(client)[-1] == true[-1])
        seen = _trades(client)
        assert seen == list(true[-len(seen) :])
        for invalid in (0.01, -1, float("nan"), float("inf")):
            with pytest.raises(StackError):
                sims.rate = invalid


def _trades(client: Follower) -> list[int]:
    if client.book.feed == "deribit":
        batches = [frame["params"]["data"] for frame in client.other if channel_of(frame) == "trades"]
        return [int(row["trade_id"]) for batch in batches for row in batch]
    frames = [frame for frame in client.other if frame.get("e") == "trade" or "data" in frame]
    return [int(frame["t"] if "t" in frame else frame["data"][0]["tradeId"]) for frame in frames]


async def test_depth_is_limited_to_what_okx_offers() -> None:
    """OKX has at most 400 levels on each side, Binance as many as requested."""
    async with Simulators(["okx", "binance-spot"], levels=1000) as sims:
        assert len(sims.true_book("okx", "BTC-USDT").bids) == 400
        assert len(sims.true_book("binance-spot", "BTC-USDT").bids) == 1000


@pytest.mark.parametrize("arguments", [{"feeds": ["mtgox"]}, {"levels": 3}, {"rate": -1}, {"rate": 0.01}])
def test_invalid_arguments_are_rejected(arguments: dict[str, object]) -> None:
    """An unknown feed, too few levels or a rate at which books would drift apart raises an error."""
    with pytest.raises(StackError):
        Simulators(**arguments)  # type: ignore[arg-type]


async def test_invalid_plans_are_rejected() -> None:
    """Unknown feeds and symbols, the same feed twice, and a symbol with a running arbitrage raise an error."""
    async with Simulators(["binance-spot", "okx"]) as sims:
        sides = {"symbol": "BTC-USDT", "buy": "okx", "sell": "binance-spot", "bps": 40, "seconds": 5}
        await sims.plant(Arbitrage.model_validate(sides))
        for plan in (
            Gap(feed="binance-usdm", symbol="BTC-USDT-PERP"),
            Gap(feed="okx", symbol="DOGE-USDT"),
            Stall(feed="okx", symbol="DOGE-USDT", seconds=1),
            Arbitrage.model_validate(sides),
            Arbitrage.model_validate(sides | {"symbol": "ETH-USDT", "sell": "okx"}),
        ):
            with pytest.raises(StackError):
                await sims.plant(plan)
        assert [planted.plan.kind for planted in sims.planted] == ["arbitrage"]
