"""Each fault does what it says, and the ground truth says what it did."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from local.simulator import Arbitrage, Disconnect, Duplicate, Gap, Malformed, Reorder, Simulators, Stall
from local.simulator.arbitrage import SETTLE, expected
from schemas.errors import StackError
from tests.local.simulator_clients import Follower, closed, following, opened, settled, subscription

FEEDS = [("binance-spot", "BTC-USDT"), ("binance-usdm", "BTC-USDT-PERP"), ("okx", "BTC-USDT-PERP")]
each_feed = pytest.mark.parametrize(("feed", "symbol"), FEEDS)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.02)


@each_feed
async def test_gap(feed: str, symbol: str) -> None:
    """Three updates are missing: one break of the chain, and the dropped ids are told."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await (await sims.plant(Gap(feed=feed, symbol=symbol, count=3))).over()
        await until(lambda: client.book.gaps)
        await asyncio.sleep(0.12)
        assert client.book.gaps == 1
        name = "seqId" if feed == "okx" else "u"
        dropped = [ids[name] for ids in planted.result["frames"]]
        assert len(dropped) == 3
        assert not set(dropped) & set(client.book.tops)
        assert planted.planted_at <= planted.started_at <= planted.ended_at


@each_feed
async def test_duplicate(feed: str, symbol: str) -> None:
    """One update comes a second time; the book stays true."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        await (await sims.plant(Duplicate(feed=feed, symbol=symbol))).over()
        true = await settled(sims, feed, symbol, client.book)
        assert (client.book.repeated, client.book.gaps) == (1, 0)
        assert client.book.equals(true)


@each_feed
async def test_reorder(feed: str, symbol: str) -> None:
    """Two updates change places: a break forward, then one that is behind."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await (await sims.plant(Reorder(feed=feed, symbol=symbol))).over()
        await until(lambda: client.book.repeated)
        assert (client.book.gaps, client.book.repeated) == (1, 1)
        assert len(planted.result["frames"]) == 2


@pytest.mark.parametrize("close_frame", [True, False])
async def test_disconnect(close_frame: bool) -> None:
    """With a close frame its code arrives, without one the connection just ends; other symbols' clients stay."""
    async with Simulators(["okx"]) as sims, following(sims, "okx", "BTC-USDT") as other, opened(sims, "okx") as socket:
        await socket.send(str(subscription("okx", "BTC-USDT-PERP", "books")).replace("'", '"'))
        await socket.recv()
        planted = await sims.plant(Disconnect(feed="okx", symbol="BTC-USDT-PERP", close_frame=close_frame, code=4006))
        assert (await closed(socket)).rcvd_code == (4006 if close_frame else None)
        assert planted.result == {"connections": 1}
        seen = other.book.sequence
        await until(lambda: other.book.sequence > seen)


@pytest.mark.parametrize(("feed", "symbol"), FEEDS[1:])
async def test_stall(feed: str, symbol: str) -> None:
    """Nothing comes for as long as was said, then it goes on, with a gap."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await sims.plant(Stall(feed=feed, symbol=symbol, seconds=0.4))
        await asyncio.sleep(0.1)
        before = _count(client)
        await asyncio.sleep(0.2)
        assert _count(client) == before
        await planted.over()
        assert 0.4 <= (planted.ended_at - planted.started_at) / 1e9 < 0.8
        await until(lambda: client.book.gaps)


def _count(client: Follower) -> int:
    return len(client.bbos) + len(client.other) + len(client.book.tops) + client.book.gaps


IN_PLACE = ["truncated", "wrong_types", "nan", "negative", "empty_arrays"]


@pytest.mark.parametrize("form", [*IN_PLACE, "unknown_channel", "given"])
@each_feed
async def test_malformed(feed: str, symbol: str, form: str) -> None:
    """A ruined frame replaces an update, an added one does not; each is recognisable on the wire."""
    marks = {
        "wrong_types": "17]",
        "nan": '"NaN"',
        "negative": '"-1.5"',
        "empty_arrays": '"data":[]' if feed == "okx" else "[[]]",
        "unknown_channel": "mystery",
        "given": "[1,2",
    }
    async with Simulators([feed]) as sims, opened(sims, feed) as socket:
        await socket.send(str(subscription(feed, symbol, "books")).replace("'", '"'))
        planted = await sims.plant(Malformed(feed=feed, symbol=symbol, form=form, frame="[1,2"))  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while True:
                text = await socket.recv()
                assert isinstance(text, str)
                if marks[form] in text if form in marks else not text.endswith("}"):
                    break
        assert (await planted.over()).result["replaced"] == (form in IN_PLACE)


async def test_a_huge_frame_and_invalid_utf8() -> None:
    """Clients close on both, as the protocol has it: 1009 too big, 1007 not UTF-8; other bytes come as binary."""
    for form, code in (("huge", 1009), ("invalid_utf8", 1007)):
        async with Simulators(["binance-spot"]) as sims, opened(sims, "binance-spot") as socket:
            await socket.send(str(subscription("binance-spot", "BTC-USDT", "books")).replace("'", '"'))
            await sims.plant(Malformed(feed="binance-spot", symbol="BTC-USDT", form=form))  # type: ignore[arg-type]
            assert (await closed(socket)).sent_code == code
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        await socket.send(str(subscription("okx", "BTC-USDT", "books")).replace("'", '"'))
        await sims.plant(Malformed(feed="okx", symbol="BTC-USDT", form="given", frame_base64="//4="))
        async with asyncio.timeout(5):
            while not isinstance(frame := await socket.recv(), bytes):
                pass
        assert frame == b"\xff\xfe"


async def test_expected_profit_by_hand() -> None:
    """Two levels pay after fees, the third does not."""
    asks = [(Decimal(100), Decimal(1)), (Decimal("100.5"), Decimal(2)), (Decimal(102), Decimal(9))]
    bids = [(Decimal(102), Decimal(2)), (Decimal("101.5"), Decimal(5))]
    result = expected(asks, bids, 10.0, 10.0)
    assert Decimal(result["amount"]) == 3
    sold, bought = 2 * 102 + Decimal("101.5"), 100 + 2 * Decimal("100.5")
    assert Decimal(result["profit"]) == sold * Decimal("0.999") - bought * Decimal("1.001")
    assert result["gross_bps"] == pytest.approx(200)
    nothing = expected(asks, [(Decimal("100.1"), Decimal(1))], 10.0, 10.0)
    assert Decimal(nothing["amount"]) == Decimal(nothing["profit"]) == 0


@pytest.mark.parametrize(
    ("symbol", "buy", "sell"),
    [
        ("BTC-USDT", "binance-spot", "okx"),
        ("BTC-USDT-PERP", "okx", "binance-usdm"),
    ],
)
async def test_planted_arbitrage(symbol: str, buy: str, sell: str) -> None:
    """From start to end the followed books pay exactly what was said, and quotes stay young; before and after not."""
    contract = {"okx": Decimal("0.01")} if symbol.endswith("PERP") else {}

    def result(buyer: Follower, seller: Follower) -> dict[str, Any]:
        asks = [_base(level, contract.get(buy)) for level in buyer.book.levels()[1][:5]]
        bids = [_base(level, contract.get(sell)) for level in seller.book.levels()[0][:5]]
        return expected(asks, bids, 5.0, 5.0)

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
        while time.monotonic() < started + 0.15:  # what arrives meanwhile pays less, never more
            assert Decimal(result(buyer, seller)["profit"]) <= Decimal(planted.result["profit"])
            await asyncio.sleep(0.005)
        ages = {id(client): (len(client.bbos), time.monotonic()) for client in (buyer, seller)}
        worst = 0.0
        while not planted.ended_at and (time.time_ns() - planted.started_at) < 0.45e9:
            assert result(buyer, seller) == planted.result
            for client in (buyer, seller):
                count, since = ages[id(client)]
                worst = max(worst, time.monotonic() - since)
                if len(client.bbos) != count:
                    ages[id(client)] = (len(client.bbos), time.monotonic())
            await asyncio.sleep(0.01)
        assert worst < 0.25
        assert 30 <= planted.result["gross_bps"] < 30.1
        assert Decimal(planted.result["profit"]) > 0
        await planted.over()
        await asyncio.sleep(SETTLE + 0.1)
        assert result(buyer, seller)["net_bps"] < 0
        await sims.plant(plan)  # both books were let go
        assert (buyer.book.gaps, seller.book.gaps) == (0, 0)
        for client, feed in ((buyer, buy), (seller, sell)):
            assert client.book.equals(await settled(sims, feed, symbol, client.book))


def _base(level: tuple[str, str], contract: Decimal | None) -> tuple[Decimal, Decimal]:
    return Decimal(level[0]), Decimal(level[1]) * (contract or 1)


async def test_impossible_plans_are_told() -> None:
    """Unknown feeds and symbols, one feed twice, a symbol that is held already."""
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
