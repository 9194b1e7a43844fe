"""Hostile exchanges: 1 % of their messages is mutated, and all others are processed as usual.

`make hostile SEEDS=20 SECONDS=60` runs more seeds for longer. Seeds that failed there are added here.
"""

import asyncio
from pathlib import Path

import pytest

from marketprism.local.broker import Broker
from marketprism.ops.control import ask_to_reconnect
from marketprism.simulator import Limits, Mutate, Simulators
from schemas.events import EVENTS
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from tests.e2e.everything import EVERYTHING
from tests.e2e.hostile_run import HostileRun, settings_for
from tests.e2e.in_process import InProcessPipeline

SECONDS = 10.0  # of mutations
HEAVY_SECONDS = 6.0  # of mutations of every third message


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "seed",
    [
        5,  # crashed a worker in a longer run
        pytest.param(6, marks=pytest.mark.long),  # stored a trade twice in one
    ],
)
async def test_hostile(broker: Broker, tmp_path: Path, seed: int) -> None:
    """Unmutated events are stored once, mutated ones are events or dead letters. Nothing restarts; books are true."""
    report = await HostileRun(await settings_for(broker, tmp_path), seed, SECONDS, tmp_path / "logs").run()
    assert report.problems == [], "\n".join(report.problems)
    assert report.messages > 200  # about 4,000, but a busy machine sends far fewer
    assert report.counts["mutated lines"] > 0


@pytest.mark.timeout(120)
async def test_a_third_of_everything(settings: Settings) -> None:
    """Mutations from the first listing on: nothing crashes, events are valid, checkpoints can be restored."""
    async with Simulators(rate=2.0, limits=Limits(ping_interval=1.0)) as simulators:
        timeouts = {"trades": 3, "books": 2, "quotes": 2}
        changes = EVERYTHING | {"endpoints": simulators.endpoints, "channel_timeout_s": timeouts}
        run = load_settings(**settings.model_dump() | changes)
        async with InProcessPipeline(run, simulators) as pipeline:
            planted = [
                await simulators.plant(Mutate(feed=feed, seed=3, rate=0.3, rare_rate=0.3, seconds=HEAVY_SECONDS))
                for feed in FEEDS
            ]
            for number in range(int(HEAVY_SECONDS)):
                await asyncio.sleep(1)
                if number % 3 == 2:
                    await ask_to_reconnect(run, FEEDS)
            await pipeline.until(lambda: all(each.ended_at for each in planted), "the mutations are over")
            for topic, body in pipeline.events:
                if topic in EVENTS:
                    EVENTS[topic].model_validate(body)
            pipeline.reload()
            assert sum(topic == "dead_letters" for topic, _ in pipeline.events) > 100
