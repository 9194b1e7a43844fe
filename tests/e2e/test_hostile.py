"""Hostile exchanges: a hundredth of what they send is mutated, and nothing else is harmed by it.

`make hostile SEEDS=20 SECONDS=60` runs more and longer. A seed that failed there comes into `SEEDS`.
"""

import asyncio
from pathlib import Path

import pytest

from local.broker import Broker
from tests.e2e.hostile import run_seed, settings_for

SEEDS = [1, 2]  # side by side
SECONDS = 12.0  # of mutations


@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_hostile(broker: Broker, tmp_path: Path) -> None:
    """Untouched events are stored once, mutated ones are events or dead letters, nothing restarts, books are true."""
    folders = {seed: tmp_path / str(seed) for seed in SEEDS}
    runs = [
        run_seed(await settings_for(broker, folder), seed, SECONDS, folder / "logs") for seed, folder in folders.items()
    ]
    for report in await asyncio.gather(*runs):
        assert report.problems == [], f"seed {report.seed}: " + "\n".join(report.problems)
        assert report.messages > 5_000
        assert report.counts["mutated lines"] > 40
