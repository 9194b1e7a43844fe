"""Scheduling of book snapshots."""

import asyncio
import time
from itertools import pairwise

import pytest

from ingest.snapshots import Snapshots
from ingest.timings import Timings


async def test_repeated_requests() -> None:
    """Every request that soon follows a snapshot waits twice as long. One of a new subscription does not."""
    placed: list[float] = []

    async def fetch(key: str) -> int:
        placed.append(time.monotonic())
        return 0

    async with asyncio.TaskGroup() as tasks:
        snapshots = Snapshots(tasks, fetch, Timings(snapshot_pause_s=0.1))
        for _ in range(320):
            snapshots.request("okx:BTC-USDT", time.time_ns() // 1000)
            await asyncio.sleep(0.01)
        pauses = [later - before for before, later in pairwise(placed)]
        assert [round(pause, 1) for pause in pauses[:4]] == pytest.approx([0.2, 0.4, 0.8, 1.6], abs=0.11)
        snapshots.forget("okx:BTC-USDT")
        count = len(placed)
        snapshots.request("okx:BTC-USDT", time.time_ns() // 1000, first=True)
        await asyncio.sleep(0.05)
        assert len(placed) == count + 1
