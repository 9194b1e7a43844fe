"""Read the lag of consumer groups, and wait until they have consumed everything."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from marketprism.ops.lag import LagReader, until_drained, until_stored
from schemas.errors import StackError
from schemas.settings import Settings
from schemas.topics import SINK_GROUP, WORKER_GROUP


async def send(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(settings.topic(topic), b"{}", partition=1)


async def commit(settings: Settings, group: str, topic: str) -> None:
    """Commit the first record of a topic."""
    place = TopicPartition(settings.topic(topic), 1)
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, group_id=settings.topic(group), enable_auto_commit=False
    ) as consumer:
        consumer.assign([place])
        await consumer.commit({place: 1})


async def test_unconsumed_records_are_lag(settings: Settings) -> None:
    """Records that are not consumed yet count as lag of their group and topic."""
    await send(settings, "raw.binance")
    await send(settings, "market.trades")
    async with LagReader(settings) as reader:
        lag = await reader.read()
    assert lag.records["market.trades"] == 1
    assert lag.by_group == {WORKER_GROUP: 1, SINK_GROUP: 1}
    assert lag.by_topic["raw.binance"] == 1
    assert lag.by_topic["raw.okx"] == 0
    assert lag.total == 2


async def test_lag_in_seconds(settings: Settings) -> None:
    """The lag in seconds is the age of the oldest record that is not committed, of each group and topic."""
    await send(settings, "raw.binance")
    async with LagReader(settings) as reader:
        first = await reader.read()
        await asyncio.sleep(1.2)
        await send(settings, "raw.binance")
        await send(settings, "market.trades")
        second = await reader.read()
        await commit(settings, WORKER_GROUP, "raw.binance")
        third = await reader.read()
        counted = await reader.count()
    assert 0 < first.seconds_by_group[WORKER_GROUP] < second.seconds_by_topic["raw.binance"] - 1
    assert first.seconds_by_group[SINK_GROUP] == first.seconds_by_topic["raw.okx"] == 0
    assert 0 < second.seconds_by_group[SINK_GROUP] < 1.2 < second.seconds_by_group[WORKER_GROUP]
    assert third.by_group == {WORKER_GROUP: 1, SINK_GROUP: 1}
    assert 0 < third.seconds_by_group[WORKER_GROUP] < second.seconds_by_group[WORKER_GROUP]
    assert counted.by_group == third.by_group
    await commit(settings, SINK_GROUP, "market.trades")
    async with LagReader(settings) as reader:
        assert (await reader.read()).seconds_by_group[SINK_GROUP] == 0


async def test_until_drained(settings: Settings) -> None:
    """The wait ends once all groups, or the named ones, have committed everything. A constant lag is an error."""
    await send(settings, "raw.binance")
    await send(settings, "market.trades")
    await commit(settings, WORKER_GROUP, "raw.binance")
    await until_drained(settings, WORKER_GROUP)
    with pytest.raises(StackError, match="1 records were not consumed within 1 s"):
        await until_drained(settings, stalled_after=1.0)
    waiting = asyncio.create_task(until_drained(settings))
    await asyncio.sleep(1.0)
    assert not waiting.done()
    await commit(settings, SINK_GROUP, "market.trades")
    await asyncio.wait_for(waiting, 10)


async def test_until_stored(settings: Settings) -> None:
    """The wait is for what was there at its begin: first until the workers have passed it, then the sink."""
    await send(settings, "raw.binance")
    await send(settings, "market.trades")
    with pytest.raises(
        StackError, match=r"raw\.binance were not processed within 1 s: is `marketprism worker` running"
    ):
        await until_stored(settings, "binance", "market.trades", stalled_after=1.0)
    waiting = asyncio.create_task(until_stored(settings, "binance", "market.trades"))
    await asyncio.sleep(0.5)
    await send(settings, "raw.binance")
    await commit(settings, WORKER_GROUP, "raw.binance")
    await asyncio.sleep(0.5)
    assert not waiting.done()
    await commit(settings, SINK_GROUP, "market.trades")
    await asyncio.wait_for(waiting, 10)
