"""Restarted ids of a book, as clients that follow the book see them."""

import pytest

from marketprism.simulator import (
    Restart,
    Simulators,
)
from tests.simulator.clients import (
    each_feed,
    following,
    settled,
    until,
)


@pytest.mark.parametrize("hard", [False, True])
@each_feed
async def test_restart(feed: str, symbol: str, hard: bool) -> None:
    """Ids restart: OKX's documented reset continues the chain, any other breaks it; new clients get the true book."""
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
                assert (client.book.gaps, client.book.stale) == (0, 0)
            else:
                assert client.book.stale > 1
            assert all(fresh.book.tops.get(sequence, top) == top for sequence, top in fresh.bbos)


async def test_restart_of_an_unchanged_book() -> None:
    """The reset is sent although no level changes: an empty update in the chain, and a BBO with the new id."""
    async with Simulators(["okx"]) as sims, following(sims, "okx", "BTC-USDT") as client:
        true = await settled(sims, "okx", "BTC-USDT", client.book)
        after = (await sims.plant(Restart(feed="okx", symbol="BTC-USDT"))).result["after"]
        await until(lambda: client.book.sequence == client.bbos[-1][0] == after)
        assert client.book.gaps == 0
        assert client.book.equals(true)
