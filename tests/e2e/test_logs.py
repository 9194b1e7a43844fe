"""What all processes log while the broker is away, and in an ordinary run."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marketprism.local.broker import Broker, free_port
from marketprism.local.processes import Child
from marketprism.local.roles import SIMULATOR
from marketprism.ops.topics import create_topics
from schemas.settings import Settings, load_settings
from tests.e2e.pipeline import Pipeline

AWAY = 8.0  # s
FEED = "okx"
MOST = 3  # lines that a process may log of an outage
OUTAGE = ["broker unavailable", "broker back"]
STOP = ["stopping", "stopped"]
REPRESENTATION = re.compile(
    r"\bTP\(|TopicPartition\(|OrderedDict\(|frozenset\(|(Error|Exception)\(|<\w+[^<>]*( at 0x|: )|0x[0-9a-f]{8}|\[\^-"
)
# In the order in which they are logged; what may come in between is not listed.
IN_ORDER = {
    "worker": ["partitions assigned", "books recovered", "caught up", *OUTAGE, *STOP],
    "sink": ["partitions assigned", "resuming", "caught up", *OUTAGE, *STOP],
    "ingest": ["connected", "subscribed", *OUTAGE, *STOP],
    "record": ["recording", *OUTAGE, *STOP],
}


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "kafka", free_port())
    await asyncio.to_thread(broker.start)
    yield broker
    await asyncio.to_thread(broker.stop)


async def start_all(settings: Settings, pipeline: Pipeline, capture: Path) -> dict[str, Child]:
    simulator = await pipeline.start(SIMULATOR.name, *SIMULATOR.arguments, "--feed", FEED, ready=SIMULATOR.ready)
    *_, listening = [line for line in simulator.output().splitlines() if SIMULATOR.ready in line]
    endpoints = json.loads(listening)["endpoints"]
    pipeline.settings = load_settings(**settings.model_dump(exclude_unset=True) | {"endpoints": endpoints})
    return {
        "sink": await pipeline.sink(),
        "worker": await pipeline.worker(),
        "ingest": await pipeline.ingest(),
        "record": await pipeline.start("record", "-m", "marketprism", "record", str(capture), ready="recording"),
    }


async def until_logged(children: dict[str, Child], event: str) -> None:
    async with asyncio.timeout(60):
        while not all(f'"{event}"' in child.output() for child in children.values()):
            await asyncio.sleep(0.1)


def events(text: str) -> list[str]:
    """Return the events of a log in JSON. The recording's summary is for the user, and no line of the log."""
    return [json.loads(line)["event"] for line in text.splitlines() if not line.startswith("Recorded ")]


@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_an_outage(mortal: Broker, settings: Settings, tmp_path: Path) -> None:
    """Each process logs one line when the broker goes away and one when it is back, whatever its libraries say."""
    own = settings.model_dump(include={"clickhouse", "sql_address", "partitions"})
    settings = load_settings(**own, kafka=mortal.bootstrap, feeds=(FEED,), symbols=("BTC-USDT",), log_json=True)
    await create_topics(settings)
    async with Pipeline(settings, tmp_path / "logs") as pipeline:
        children = await start_all(settings, pipeline, tmp_path / "capture.zst")
        await until_logged({name: children[name] for name in ("worker", "sink")}, "caught up")
        before = {name: len(child.output()) for name, child in children.items()}
        await asyncio.to_thread(mortal.kill)
        await asyncio.sleep(AWAY)
        await asyncio.to_thread(mortal.start)
        await until_logged(children, "broker back")
        await pipeline.supervisor.retire("ingest")
        await pipeline.wait_until_stored()
        of_outage = {name: events(child.output()[before[name] :]) for name, child in children.items()}
    for name, found in of_outage.items():
        assert [event for event in found if event in OUTAGE] == OUTAGE, name
        assert len([event for event in found if event not in STOP]) <= MOST, (name, found)
    for name, expected in IN_ORDER.items():
        text = (tmp_path / "logs" / f"{name}.log").read_text()
        assert [event for event in dict.fromkeys(events(text)) if event in expected] == expected, name
        assert not [line for line in text.splitlines() if REPRESENTATION.search(line)], name
        assert "Unclosed" not in text
