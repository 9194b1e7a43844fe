"""The real broker: it starts, it survives a kill, and it has the topics of the table."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from local.broker import Broker, free_port
from local.jars import locked_jars, missing_jars
from local.topics import admin, create_topics
from schemas.errors import StackError
from schemas.settings import Settings, load_settings
from schemas.topics import TOPICS


def test_the_lock_names_whole_jars() -> None:
    """Each locked jar has coordinates and a sha256, and setting up brought all of them."""
    assert all(len(jar.sha256) == 64 for jar in locked_jars())
    assert missing_jars() == []


async def test_topics_are_the_tables(settings: Settings) -> None:
    """Every topic of the table exists with its partitions; creating again creates nothing."""
    assert await create_topics(settings) == []
    async with admin(settings) as client:
        names = set(await client.list_topics())
        [raw] = await client.describe_topics([settings.topic("raw.okx")])
    assert {settings.topic(name) for name in TOPICS} <= names
    assert len(raw["partitions"]) == settings.partitions


async def test_other_partitions_are_told(settings: Settings) -> None:
    """A topic with another number of partitions than the settings say is an error that says what to do."""
    with pytest.raises(StackError, match="set `partitions`"):
        await create_topics(settings.model_copy(update={"partitions": 3}))


async def test_no_broker() -> None:
    """Nobody there: the error names the setting."""
    with pytest.raises(StackError, match="setting `kafka`"):
        await create_topics(load_settings(kafka=f"127.0.0.1:{free_port()}"))


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


def test_a_taken_port_is_told(tmp_path: Path, broker: Broker) -> None:
    """Another process on the port: the error says so, and nothing is started."""
    with pytest.raises(StackError, match="taken by another process"):
        Broker(tmp_path / "kafka", broker.port).start()


def test_a_broker_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    """A data directory of another cluster: the end of the broker's log is in the error."""
    broker = Broker(tmp_path, free_port())
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=7\n")
    with pytest.raises(StackError, match="ended at its start"):
        broker.start()
