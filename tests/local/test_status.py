"""Status of a running system."""

import time
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from hypothesis import given
from hypothesis import strategies as st

from marketprism.local import status as status_module
from marketprism.local.data_lock import DataLock
from marketprism.local.findings import Finding
from marketprism.local.stack_state import Process, describe
from marketprism.local.status import _members, describe_stack, duration, examine_system, ranges
from marketprism.ops.feed_ages import feed_ages
from marketprism.ops.groups import Group, Member
from schemas.settings import Settings, load_settings
from schemas.topics import WORKER_GROUP


async def status(settings: Settings) -> dict[str, Finding]:
    return {each.name: each for each in await examine_system(settings)}


async def report(settings: Settings, symbol: str, **fields: int) -> None:
    body = {"type": "report", "exchange": "okx", "symbol": symbol, "messages": 1, "age": 0} | fields
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(settings.topic("market.status"), orjson.dumps(body), partition=0)


async def test_without_processes(settings: Settings) -> None:
    """The broker is well. Everything else says what is missing."""
    found = await status(settings)
    assert found["broker"].ok
    assert "marketprism worker" in found["workers"].text
    assert "marketprism sink" in found["sinks"].text
    assert "no worker has reported" in found["feeds"].text
    assert not any(found[name].ok for name in ("workers", "sinks", "feeds", "clickhouse"))


async def test_missing_topics(settings: Settings) -> None:
    """Missing topics are named, with the command that creates them."""
    found = await status(settings.model_copy(update={"topic_prefix": "none."}))
    assert found["broker"].ok is False
    assert "marketprism topics --create" in found["broker"].text


async def test_no_broker() -> None:
    """Without a broker each check says so. None takes long."""
    began = time.monotonic()
    found = await status(load_settings(kafka="127.0.0.1:9"))
    assert found["broker"].ok is False
    assert "127.0.0.1:9" in found["broker"].text
    assert time.monotonic() - began < 20


async def test_members_and_their_partitions(settings: Settings) -> None:
    """A group is described by its members' partitions."""
    topics = [settings.topic(name) for name in ("raw.okx", "raw.htx")]
    async with AIOKafkaConsumer(
        *topics, bootstrap_servers=settings.kafka, group_id=settings.topic(WORKER_GROUP)
    ) as consumer:
        await consumer.getmany(timeout_ms=1)
        found = await status(settings)
    assert found["workers"] == Finding("workers", True, "127.0.0.1: partitions 0-1 of raw.htx, raw.okx")


def test_members_of_one_host() -> None:
    """Two members on one host are told apart, and listed in the order of their partitions."""
    members = tuple(Member("aiokafka", "host", {"raw.okx": [number]}) for number in (1, 0))
    assert [finding.text for finding in _members("workers", Group("g", "Stable", members), load_settings())] == [
        "host, number 1 of 2: partitions 0 of raw.okx",
        "host, number 2 of 2: partitions 1 of raw.okx",
    ]


async def test_stored_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The age of the newest row is also given as a number, and the address at which SQL is answered is named."""
    settings = load_settings(clickhouse=f"chdb://{tmp_path}")
    (tmp_path / "sql_address").write_text("127.0.0.1:8124\n")
    monkeypatch.setattr(status_module, "run_query", lambda *_: b"7\n")
    text = "the last event was stored 7 s ago; SQL over HTTP at http://127.0.0.1:8124/"
    assert await status_module._storage(settings) == [Finding("clickhouse", True, text, 7, "s")]


async def test_ages_of_feeds(settings: Settings) -> None:
    """A feed's age is that of its last message, of any instrument and channel."""
    now = time.time_ns() // 1000
    await report(settings, "BTC-USDT", local_timestamp=now - 2_000_000, age=50_000_000)
    await report(settings, "BTC-USDT-PERP", local_timestamp=now - 2_000_000, age=1_000_000)
    ages = await feed_ages(settings)
    assert list(ages) == ["okx"]
    assert 3 <= ages["okx"] < 10
    okx = (await status(settings))["okx"]
    assert okx.ok
    assert okx.value is not None
    assert (f"{okx.value:,.1f} {okx.unit}" in okx.text, okx.unit) == (True, "s")


async def test_a_feed_without_messages(settings: Settings) -> None:
    """A feed that never delivered anything is a problem."""
    await report(settings, "BTC-USDT", local_timestamp=time.time_ns() // 1000, messages=0)
    assert (await status(settings))["okx"] == Finding("okx", False, "no event yet")


def test_processes_of_a_stack(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A stack names its processes. A process that is being restarted is a problem."""
    data = tmp_path_factory.mktemp("data")
    state = describe("demo", load_settings())
    state.processes = [Process("kafka", "running", 12, 0), Process("sink", "restarting", 13, 4)]
    state.write(data)
    assert describe_stack(state)[0].ok is False
    with DataLock(data):
        stack, kafka, sink = describe_stack(state)
    assert stack.ok
    assert kafka == Finding("kafka", True, "running, process 12")
    assert sink == Finding("sink", False, "restarting, process 13, 4 restarts")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (61.9, "1 min 1 s"), (7500, "2 h 5 min"), (86_400 * 3 + 5, "3 d")],
)
def test_durations(seconds: float, text: str) -> None:
    """A duration is written in its two largest units."""
    assert duration(seconds) == text


@given(st.sets(st.integers(0, 40)))
def test_ranges(numbers: set[int]) -> None:
    """Ranges name exactly the numbers."""
    found = set()
    for part in filter(None, ranges(numbers).split(", ")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == numbers
