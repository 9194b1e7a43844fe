"""A stall and a wrong clock, as a plain client sees them."""

import asyncio
import time
from typing import Any

import pytest

from marketprism.simulator import (
    Simulators,
    Stall,
    WrongClock,
)
from tests.simulator.clients import (
    FEEDS,
    TIMES,
    Follower,
    channel_of,
    each_feed,
    following,
    get,
    listen,
    opened,
    receive,
    send,
    subscription,
    until,
)


@pytest.mark.parametrize(("feed", "symbol"), FEEDS[1:])
async def test_stall(feed: str, symbol: str) -> None:
    """No data arrive for the planned time; afterwards they continue, with a gap."""
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


def _times(frame: Any) -> list[int]:
    """Return all times of a frame, in ms."""
    body = frame["params"]["data"] if "params" in frame else frame["data"]
    rows = body if isinstance(body, list) else [body]
    return [int(row[key]) for row in rows for key in ("E", "T", "ts", "timestamp") if key in row]


@each_feed
async def test_wrong_clock(feed: str, symbol: str) -> None:
    """The times of data are off for some time; REST reports the right time."""

    def skew_s(frame: Any) -> list[float]:
        return [round((at - time.time() * 1000) / 1000) for at in _times(frame)]

    async with Simulators([feed], rate=6) as sims, opened(sims, feed) as socket:
        await send(socket, subscription(feed, symbol, "books", "trades", "bbo"))
        planted = await sims.plant(WrongClock(feed=feed, offset_ms=-5000, seconds=0.8))
        await listen(socket, 0.15)  # frames that were already sent
        seen: dict[str, list[float]] = {}
        while len(seen) < 3:
            frame = await receive(socket, channel_of)
            seen[channel_of(frame)] = skew_s(frame)
        assert {each for times in seen.values() for each in times} == {-5}
        _, body, _ = await get(sims, feed, TIMES[feed])
        time_ms = body.get("serverTime") or body.get("result") or int(body["data"][0]["ts"])
        assert abs(time_ms - time.time() * 1000) < 1000
        await planted.over()
        await listen(socket, 0.15)
        assert set(skew_s(await receive(socket, _times))) == {0}
