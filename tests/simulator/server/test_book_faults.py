"""Faults of book updates, as a client that follows the book sees them."""

import asyncio

import pytest

from marketprism.simulator import (
    Crossed,
    Duplicate,
    Gap,
    Malformed,
    Reorder,
    Simulators,
)
from tests.simulator.clients import (
    LAST_IDS,
    closed,
    each_feed,
    following,
    opened,
    send,
    settled,
    subscription,
    until,
)


@each_feed
async def test_gap(feed: str, symbol: str) -> None:
    """Three missing updates are one break of the chain, and the result has their ids."""
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
    """One update arrives twice; the book stays true."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        await (await sims.plant(Duplicate(feed=feed, symbol=symbol))).over()
        true = await settled(sims, feed, symbol, client.book)
        assert (client.book.stale, client.book.gaps) == (1, 0)
        assert client.book.equals(true)


@each_feed
async def test_reorder(feed: str, symbol: str) -> None:
    """Two updates are swapped: the client sees a gap, then a stale update."""
    async with Simulators([feed]) as sims, following(sims, feed, symbol) as client:
        planted = await (await sims.plant(Reorder(feed=feed, symbol=symbol))).over()
        await until(lambda: client.book.stale)
        assert (client.book.gaps, client.book.stale) == (1, 1)
        assert len(planted.result["frames"]) == 2


IN_PLACE = ["truncated", "wrong_types", "nan", "negative", "empty_arrays"]


@pytest.mark.parametrize("form", [*IN_PLACE, "unknown_channel", "given"])
@each_feed
async def test_malformed(feed: str, symbol: str, form: str) -> None:
    """A corrupted update replaces the true one, an added frame does not; each form is recognisable on the wire."""
    marks = {
        "wrong_types": "17]",
        "nan": '"NaN"',
        "negative": "-1.5",
        "empty_arrays": '"data":[]' if feed == "okx" else "[[]]",
        "unknown_channel": "mystery",
        "given": "[1,2",
    }
    async with Simulators([feed]) as sims, opened(sims, feed) as socket:
        await send(socket, subscription(feed, symbol, "books"))
        planted = await sims.plant(Malformed(feed=feed, symbol=symbol, form=form, frame="[1,2"))  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while True:
                text = await socket.recv()
                assert isinstance(text, str)
                if marks[form] in text if form in marks else not text.endswith("}"):
                    break
        assert (await planted.over()).result["replaced"] == (form in IN_PLACE)


async def test_huge_frame_and_invalid_utf8() -> None:
    """A client closes with 1009 on a huge frame and with 1007 on invalid UTF-8; `given` sends such bytes as binary."""
    for form, code in (("huge", 1009), ("invalid_utf8", 1007)):
        async with Simulators(["binance-spot"]) as sims, opened(sims, "binance-spot") as socket:
            await send(socket, subscription("binance-spot", "BTC-USDT", "books"))
            await sims.plant(Malformed(feed="binance-spot", symbol="BTC-USDT", form=form))  # type: ignore[arg-type]
            assert (await closed(socket)).sent_code == code
    async with Simulators(["okx"]) as sims, opened(sims, "okx") as socket:
        await send(socket, subscription("okx", "BTC-USDT", "books"))
        await sims.plant(Malformed(feed="okx", symbol="BTC-USDT", form="given", frame_base64="//4="))
        async with asyncio.timeout(5):
            while not isinstance(frame := await socket.recv(), bytes):
                pass
        assert frame == b"\xff\xfe"


@each_feed
async def test_crossed(feed: str, symbol: str) -> None:
    """The client's book is crossed by a level that the true one does not have; no id is missing."""
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
