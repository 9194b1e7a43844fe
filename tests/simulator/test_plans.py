"""Each fault does what it says, and the ground truth says what it did."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from marketprism.simulator import (
    Arbitrage,
    Crossed,
    Duplicate,
    Gap,
    Malformed,
    Reorder,
    Restart,
    Simulators,
    Stall,
    WrongClock,
)
from marketprism.simulator.market.arbitrage import SETTLE, expected
from schemas.errors import StackError
from schemas.instruments import assumed_instrument
from streams.normalize.amounts import base_amount
from tests.simulator.clients import (
    LAST_IDS,
    TIMES,
    Follower,
    channel_of,
    closed,
    each_feed,
    following,
    get,
    listen,
    opened,
    receive,
    settled,
    subscription,
    until,
)


@each_feed
async def test_gap(feed: str, symbol: str) -> None:
    """Three updates are missing: one break of the chain, and the dropped ids are told."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await (await sims.plant(Gap(feed=feed, symbol=symbol, count=3))).over()
        await until(lambda: client.book.gaps)
        await asyncio.sleep(0.12)
        assert client.book.gaps == 1
        dropped = [ids[LAST_IDS[feed]] for ids in planted.result["frames"]]
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


IN_PLACE = ["truncated", "wrong_types", "nan", "negative", "empty_arrays"]


@pytest.mark.parametrize("form", [*IN_PLACE, "unknown_channel", "given"])
@each_feed
async def test_malformed(feed: str, symbol: str, form: str) -> None:
    """A ruined frame replaces an update, an added one does not; each is recognisable on the wire."""
    marks = {
        "wrong_types": "17]",
        "nan": '"NaN"',
        "negative": "-1.5",
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
        ("BTC-USD-PERP", "deribit", "okx"),
        ("BTC-USD-PERP", "okx", "deribit"),
    ],
)
async def test_planted_arbitrage(symbol: str, buy: str, sell: str) -> None:
    """From start to end the followed books pay exactly what was said, and quotes stay young; before and after not."""

    def result(buyer: Follower, seller: Follower) -> dict[str, Any]:
        asks = [_base(level, symbol, buy) for level in buyer.book.levels()[1][:5]]
        bids = [_base(level, symbol, sell) for level in seller.book.levels()[0][:5]]
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
            assert result(buyer, seller).items() <= planted.result.items()
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


_CONTRACTS = {("okx", "BTC-USDT-PERP"): "0.01", ("okx", "BTC-USD-PERP"): "100"}


def _base(level: tuple[str, str], symbol: str, feed: str) -> tuple[Decimal, Decimal]:
    price, amount = level
    instrument = assumed_instrument(feed, feed, symbol)
    instrument = instrument.model_copy(update={"contract_size": _CONTRACTS.get((feed, symbol), "1")})
    return Decimal(price), Decimal(base_amount(instrument, price, amount))


def _times(frame: Any) -> list[int]:
    """All times of a frame, ms."""
    body = frame["params"]["data"] if "params" in frame else frame["data"]
    rows = body if isinstance(body, list) else [body]
    return [int(row[key]) for row in rows for key in ("E", "T", "ts", "timestamp") if key in row]


@each_feed
async def test_wrong_clock(feed: str, symbol: str) -> None:
    """The times of data are off for a while; REST tells the right one."""

    def off(frame: Any) -> list[float]:
        return [round((at - time.time() * 1000) / 1000) for at in _times(frame)]

    async with Simulators([feed], rate=6) as sims, opened(sims, feed) as socket:
        await socket.send(str(subscription(feed, symbol, "books", "trades", "bbo")).replace("'", '"'))
        planted = await sims.plant(WrongClock(feed=feed, offset_ms=-5000, seconds=0.8))
        await listen(socket, 0.15)  # what was under way
        seen: dict[str, list[float]] = {}
        while len(seen) < 3:
            frame = await receive(socket, channel_of)
            seen[channel_of(frame)] = off(frame)
        assert {each for times in seen.values() for each in times} == {-5}
        _, body, _ = await get(sims, feed, TIMES[feed])
        right = body.get("serverTime") or body.get("result") or int(body["data"][0]["ts"])
        assert abs(right - time.time() * 1000) < 1000
        await planted.over()
        await listen(socket, 0.15)
        assert set(off(await receive(socket, _times))) == {0}


@each_feed
async def test_crossed(feed: str, symbol: str) -> None:
    """The client's book crosses by a level that the true one does not have; no id is missing."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await (await sims.plant(Crossed(feed=feed, symbol=symbol))).over()
        [ids] = planted.result["frames"]
        last = ids[LAST_IDS[feed]]
        await until(lambda: last in client.book.tops)
        bid, _, ask, _ = client.book.tops[last]
        assert bid == planted.result["bid"][0]
        assert float(bid) > float(ask)
        true = await settled(sims, feed, symbol, client.book)
        assert float(true.bids[0][0]) < float(true.asks[0][0])
        assert client.book.gaps == 0


@pytest.mark.parametrize("hard", [False, True])
@each_feed
async def test_restart(feed: str, symbol: str, hard: bool) -> None:
    """Ids start over: OKX's documented reset is followed, else nothing fits any more; who starts anew is right."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await (await sims.plant(Restart(feed=feed, symbol=symbol, hard=hard))).over()
        assert planted.result["after"] < 10 < planted.result["before"]
        before = client.book.sequence
        async with following(sims, feed, symbol) as fresh:
            assert (fresh.book.gaps, fresh.book.sequence < before) == (0, True)
            await until(lambda: fresh.bbos)  # the market is paused from here on
            assert fresh.book.equals(await settled(sims, feed, symbol, fresh.book))
            if feed == "okx" and not hard:
                assert client.book.sequence == fresh.book.sequence
                assert client.book.equals(sims.true_book(feed, symbol))
                assert (client.book.gaps, client.book.repeated) == (0, 0)
            else:
                assert client.book.repeated > 1
            assert all(fresh.book.tops.get(sequence, top) == top for sequence, top in fresh.bbos)


async def test_restart_of_a_quiet_book() -> None:
    """The reset is told though no level changes: an empty update that follows, a BBO of the new id."""
    async with Simulators(["okx"]) as sims, following(sims, "okx", "BTC-USDT") as client:
        true = await settled(sims, "okx", "BTC-USDT", client.book)
        after = (await sims.plant(Restart(feed="okx", symbol="BTC-USDT"))).result["after"]
        await until(lambda: client.book.sequence == client.bbos[-1][0] == after)
        assert client.book.gaps == 0
        assert client.book.equals(true)


@each_feed
async def test_no_trade_is_lost_or_doubled(feed: str, symbol: str) -> None:
    """What a client saw is what the market made since then, id for id, whatever the rate, which may change."""
    async with Simulators([feed], rate=2) as sims, following(sims, feed, symbol) as client:
        await until(lambda: _trades(client))
        sims.rate = 20
        await until(lambda: len(_trades(client)) > 30)
        await settled(sims, feed, symbol, client.book)
        true = sims.true_trades(feed, symbol)
        await until(lambda: _trades(client)[-1] == true[-1])
        seen = _trades(client)
        assert seen == list(true[-len(seen) :])
        for wrong in (0.01, -1, float("nan"), float("inf")):
            with pytest.raises(StackError):
                sims.rate = wrong


def _trades(client: Follower) -> list[int]:
    if client.book.feed == "deribit":
        batches = [frame["params"]["data"] for frame in client.other if channel_of(frame) == "trades"]
        return [int(row["trade_id"]) for batch in batches for row in batch]
    frames = [frame for frame in client.other if frame.get("e") == "trade" or "data" in frame]
    return [int(frame["t"] if "t" in frame else frame["data"][0]["tradeId"]) for frame in frames]


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
