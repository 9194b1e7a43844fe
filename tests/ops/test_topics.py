"""Create topics from the topic table, and detect topics that differ from it."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from marketprism.local.broker import free_port
from marketprism.ops.topics import admin, create_topics, discard_checkpoints, read_all, topic_ends
from schemas.errors import StackError
from schemas.limits import MAX_MESSAGE
from schemas.settings import Settings, load_settings
from schemas.topics import CONTROL, TOPICS, WORKER_GROUP
from streams.topic_limits import changelogs, message_limits
from streams.topic_wait import wait_for_topics


async def test_all_topics_of_the_table_exist(settings: Settings) -> None:
    """Every topic of the table exists with its partitions. Repeated creation changes nothing."""
    assert await create_topics(settings) == []
    async with admin(settings) as client:
        names = set(await client.list_topics())
        [raw] = await client.describe_topics([settings.topic("raw.okx")])
        [control] = await client.describe_topics([settings.topic(CONTROL)])
    assert {settings.topic(name) for name in TOPICS} <= names
    assert len(raw["partitions"]) == settings.partitions
    assert len(control["partitions"]) == 1


async def test_topics_are_configured_as_the_table_says(settings: Settings) -> None:
    """The broker has the retention and all other configuration of the table."""
    names = {settings.topic(topic.name): topic for topic in TOPICS.values()}
    async with admin(settings) as client:
        responses = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found = {row[3]: {entry[0]: entry[1] for entry in row[4]} for response in responses for row in response.resources}
    assert found.keys() == names.keys()
    for name, topic in names.items():
        assert topic.configuration().items() <= found[name].items()


async def test_topic_ends(settings: Settings) -> None:
    """The ends of all partitions are returned by topic name without prefix. Missing topics are left out."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all") as producer:
        for _ in range(3):
            await producer.send_and_wait(settings.topic("market.trades"), b"x", partition=1)
    ends = await topic_ends(settings)
    assert ends.keys() == TOPICS.keys()
    assert ends["market.trades"] == [0, 3]
    assert ends[CONTROL] == [0]
    assert await topic_ends(settings.model_copy(update={"topic_prefix": "none."})) == {}


async def test_a_different_number_of_partitions_is_an_error(settings: Settings) -> None:
    """If a topic's number of partitions differs from the setting, the error says what to do."""
    with pytest.raises(StackError, match="set `partitions`"):
        await create_topics(settings.model_copy(update={"partitions": 3}))


async def test_no_broker() -> None:
    """Without a broker, the error names the setting."""
    nowhere = load_settings(kafka=f"127.0.0.1:{free_port()}")
    for function in (create_topics, topic_ends):
        with pytest.raises(StackError, match="setting `kafka`"):
            await function(nowhere)


async def test_the_message_size_limit_of_old_topics_is_raised(settings: Settings) -> None:
    """A topic with the broker's default limit prevents the start of workers. `topics --create` corrects it."""
    name = settings.topic("market.books")
    async with admin(settings) as client:
        small = ConfigResource(ConfigResourceType.TOPIC, name, configs={"max.message.bytes": "1048588"})
        await client.alter_configs([small])
        await until_limit(client, name, 1_048_588)
        with pytest.raises(StackError, match=r"market.books; `marketprism topics --create` corrects"):
            await wait_for_topics(settings)
        await create_topics(settings)
        await until_limit(client, name, MAX_MESSAGE)
        await wait_for_topics(settings)


async def until_limit(client: AIOKafkaAdminClient, topic: str, limit: int) -> None:
    """Wait for the limit, as a broker reports a changed configuration with a delay."""
    async with asyncio.timeout(10):
        while await message_limits(client, [topic]) != {topic: limit}:
            await asyncio.sleep(0.05)


async def test_read_all(settings: Settings) -> None:
    """All records of a topic are returned by partition, in order."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all") as producer:
        for n in range(5):
            await producer.send_and_wait(settings.topic("market.trades"), b"%d" % n, partition=1)
    records = await read_all(settings, "market.trades")
    assert {number: [record.value for record in found] for number, found in records.items()} == {
        0: [],
        1: [b"0", b"1", b"2", b"3", b"4"],
    }
    assert await read_all(settings, CONTROL) == {0: []}


async def test_checkpoints_are_discarded_while_no_worker_runs(settings: Settings) -> None:
    """The changelog topics of the workers' tables are deleted, unless the workers' group has members."""
    async with admin(settings) as client:
        await client.create_topics([NewTopic(name, 1, 1) for name in changelogs(settings)])
        await until_listed(client, settings, changelogs(settings))
    group = settings.topic(WORKER_GROUP)
    async with AIOKafkaConsumer(settings.topic("raw.okx"), bootstrap_servers=settings.kafka, group_id=group):
        with pytest.raises(StackError, match="1 workers are running: stop them"):
            await discard_checkpoints(settings)
    assert sorted(await discard_checkpoints(settings)) == sorted(changelogs(settings))
    async with admin(settings) as client:
        await until_listed(client, settings, [])
    assert await discard_checkpoints(settings) == []


async def until_listed(client: AIOKafkaAdminClient, settings: Settings, expected: list[str]) -> None:
    """Wait until just these changelog topics are listed, as metadata follow a change with a delay."""
    async with asyncio.timeout(10):
        while set(changelogs(settings)) & set(await client.list_topics()) != set(expected):
            await asyncio.sleep(0.05)
