"""The documented procedures rebuild the true book level by level, and the BBO matches it at equal ids."""

import asyncio

import pytest

from marketprism.simulator import Simulators
from tests.simulator.clients import following, settled

INSTRUMENTS = [
    ("binance-spot", "BTC-USDT"),
    ("binance-usdm", "BTC-USDT-PERP"),
    ("binance-coinm", "BTC-USD-PERP"),
    ("binance-coinm", "BTC-USD-261225"),
    ("okx", "BTC-USDT"),
    ("okx", "BTC-USDT-PERP"),
    ("okx", "BTC-USD-PERP"),
    ("deribit", "BTC-USD-PERP"),
    ("deribit", "BTC-USDC"),
]


@pytest.mark.parametrize(("feed", "symbol"), INSTRUMENTS)
async def test_documented_procedure_gives_true_book(feed: str, symbol: str) -> None:
    """All levels of both sides are equal, without a gap, and a BBO with a book update's id has its best levels.

    Deribit's BBO has no id, so the last BBO of a paused market is compared.
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


async def test_book_stays_true_under_load() -> None:
    """At a high rate, with thousands of frames per second, the client's book still equals the true one."""
    async with Simulators(["binance-spot"], rate=30) as sims, following(sims, "binance-spot", "BTC-USDT") as client:
        await asyncio.sleep(0.6)
        true = await settled(sims, "binance-spot", "BTC-USDT", client.book)
        assert client.book.equals(true)
        assert len(client.bbos) + len(client.other) > 200  # of one instrument alone
