"""Whoever follows the documented procedure holds the true book, level for level; the BBO agrees at equal ids."""

import asyncio

import pytest

from marketprism.simulator import Limits, Simulators
from tests.simulator.clients import following, opened, receive, settled, subscription

INSTRUMENTS = [
    ("binance-spot", "BTC-USDT"),
    ("binance-usdm", "BTC-USDT-PERP"),
    ("okx", "BTC-USDT"),
    ("okx", "BTC-USDT-PERP"),
    ("okx", "BTC-USD-PERP"),
    ("deribit", "BTC-USD-PERP"),
    ("deribit", "BTC-USDC"),
]


@pytest.mark.parametrize(("feed", "symbol"), INSTRUMENTS)
async def test_the_documented_procedure_gives_the_true_book(feed: str, symbol: str) -> None:
    """All levels of both sides are equal, without a gap; BBO frames that share their id with a book's have its top.

    Deribit's BBO has no id: of a book at rest the last one is the top.
    """
    async with Simulators([feed], seed=4, levels=120) as sims, following(sims, feed, symbol) as client:
        tops = client.book.tops
        shared: list[tuple[int, tuple[str, ...]]] = []
        async with asyncio.timeout(8):
            while (len(shared) < 3 and feed != "deribit") or len(tops) < 8:
                await asyncio.sleep(0.05)
                shared = [(sequence, top) for sequence, top in client.bbos if sequence in tops]
        true = await settled(sims, feed, symbol, client.book)
        assert client.book.equals(true)
        assert len(true.bids) == len(true.asks) == 120
        assert client.book.gaps == 0
        assert all(tops[sequence] == top for sequence, top in shared)
        assert feed != "deribit" or client.bbos[-1][1] == client.book.top()


async def test_depth_beyond_okx_is_cut() -> None:
    """OKX never shows more than 400 levels a side, Binance as many as asked for."""
    async with Simulators(["okx", "binance-spot"], levels=1000) as sims:
        assert len(sims.true_book("okx", "BTC-USDT").bids) == 400
        assert len(sims.true_book("binance-spot", "BTC-USDT").bids) == 1000


async def test_subscribing_again_brings_a_fresh_snapshot() -> None:
    """OKX: unsubscribe and subscribe, and the next book frame is a snapshot that the updates follow."""
    async with Simulators(["okx"]) as sims, following(sims, "okx", "BTC-USDT") as client, opened(sims, "okx") as socket:
        request = subscription("okx", "BTC-USDT", "books")
        for operation in ("subscribe", "unsubscribe", "subscribe"):
            await socket.send(str(request | {"op": operation}).replace("'", '"'))
        frame = await receive(socket, lambda body: "data" in body)
        assert frame["action"] == "snapshot"
        following_frame = await receive(socket, lambda body: "data" in body)
        assert following_frame["data"][0]["prevSeqId"] == frame["data"][0]["seqId"]
        assert client.book.gaps == 0


async def test_a_quiet_okx_book_says_that_it_is_alive() -> None:
    """No change for the keep-alive time: an empty update with equal ids."""
    async with Simulators(["okx"], rate=0, limits=Limits(keep_alive=0.3)) as sims, opened(sims, "okx") as socket:
        await socket.send(str(subscription("okx", "BTC-USDT", "books")).replace("'", '"'))
        snapshot = await receive(socket, lambda body: body.get("action") == "snapshot")
        alive = await receive(socket, lambda body: body.get("action") == "update")
        [row] = alive["data"]
        assert (row["bids"], row["asks"]) == ([], [])
        assert row["seqId"] == row["prevSeqId"] == snapshot["data"][0]["seqId"]


async def test_load() -> None:
    """At a high rate thousands of frames a second arrive, and the book is still true."""
    async with Simulators(["binance-spot"], rate=30) as sims, following(sims, "binance-spot", "BTC-USDT") as client:
        await asyncio.sleep(0.6)
        true = await settled(sims, "binance-spot", "BTC-USDT", client.book)
        assert client.book.equals(true)
        assert len(client.bbos) + len(client.other) > 200  # of one instrument of eight
