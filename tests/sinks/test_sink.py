"""Test the sink between a real broker and the real engine."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from marketprism.local.broker import Broker, free_port
from marketprism.ops.topics import create_topics
from schemas.errors import StorageError
from schemas.events import EVENTS, TABLES, DeadLetter
from schemas.settings import Settings
from schemas.topics import SINK_GROUP
from sinks.migrations import migrate
from sinks.sink import Sink
from sinks.sql.client import run_query
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import BODIES, DAY, encoded, trade
from tests.sinks.helpers import produce, read_values, rows, running, start_process, until


@pytest.fixture
def store(settings: Settings) -> Iterator[EmbeddedStorage]:
    opened = EmbeddedStorage(settings)
    migrate(opened, settings)
    yield opened
    opened.close()


async def count(store: EmbeddedStorage, table: str = "trades") -> int:
    return int((await rows(store, f"SELECT count() FROM marketprism.{table}"))[0][0])


async def until_count(store: EmbeddedStorage, expected: int, table: str = "trades") -> None:
    async def enough() -> bool:
        return await count(store, table) >= expected

    await until(enough)
    assert await count(store, table) == expected


async def committed(settings: Settings, topic: str) -> int | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=settings.topic(SINK_GROUP))
    await consumer.start()
    try:
        found: int | None = await consumer.committed(TopicPartition(settings.topic(topic), 0))
        return found
    finally:
        await consumer.stop()


async def test_every_topic_reaches_its_table(settings: Settings, store: EmbeddedStorage) -> None:
    """One event of each kind and partition becomes one row in its table. Offsets are committed at shutdown."""
    for topic in EVENTS:
        for partition in range(2):
            await produce(settings, topic, [encoded(topic, f"binance:{partition}:1:0:0")], partition)
    async with running(settings, store):
        for topic in EVENTS:
            await until_count(store, 2, TABLES[topic])
    assert [await committed(settings, topic) for topic in EVENTS] == [1] * len(EVENTS)
    assert set(BODIES) == set(TABLES)


async def test_duplicate_events_are_dropped(settings: Settings, store: EmbeddedStorage) -> None:
    """Events published again after a crash are stored once, within a block, across blocks and across a restart."""
    await produce(settings, "market.trades", [trade(n) for n in [*range(10), *range(4, 12), 0, 11]])
    async with running(settings, store):
        await until_count(store, 12)
        await produce(settings, "market.trades", [trade(n) for n in range(8, 20)])
        await until_count(store, 20)
    await produce(settings, "market.trades", [trade(n) for n in range(15, 30)])
    async with running(settings, store):
        await until_count(store, 30)
    assert await rows(store, "SELECT count(), uniqExact(id), uniqExact(source) FROM marketprism.trades") == [
        [30, 30, 30]
    ]


async def test_rejected_rows_are_isolated(settings: Settings, store: EmbeddedStorage) -> None:
    """Invalid rows go to dead_letters with the reason, the row and its position. All others are stored."""
    bad: dict[int, bytes | None] = {
        3: b"\xff malformed",
        17: trade(17).replace(b'"0.5"', b'"many"'),
        18: None,
        40: b"{}",
    }
    await produce(settings, "market.trades", [bad.get(n, trade(n)) for n in range(41)])
    async with running(settings, store):
        await until_count(store, 37)
        await until_count(store, 4, "dead_letters")
    letters = [DeadLetter.model_validate_json(value) for value in await read_values(settings, "dead_letters")]
    assert [letter.source for letter in letters] == [f"sink-market.trades:0:{offset}:0:0" for offset in bad]
    assert all(letter.reason.startswith("rejected by ClickHouse: Code: ") for letter in letters)
    assert [letter.encoding for letter in letters] == ["base64", "text", "text", "text"]
    assert letters[1].frame.encode() == bad[17]
    assert "amount" in letters[1].reason
    assert (letters[1].exchange, letters[1].symbol, letters[1].topic) == ("binance", "BTC-USDT", "market.trades")
    stored = "SELECT arraySort(groupArray(toUInt32(id))) FROM marketprism.trades"
    assert await rows(store, stored) == [[[n for n in range(41) if n not in bad]]]


async def test_an_invalid_dead_letter_becomes_a_valid_one(settings: Settings, store: EmbeddedStorage) -> None:
    """An invalid record in dead_letters itself is stored once, as a valid dead letter about it."""
    await produce(settings, "dead_letters", [b"no dead letter"])
    async with running(settings, store):
        await until_count(store, 1, "dead_letters")
        await asyncio.sleep(1.5)
    assert await rows(store, "SELECT source, topic, frame FROM marketprism.dead_letters") == [
        ["sink-dead_letters:0:0:0:0", "dead_letters", "no dead letter"]
    ]


async def test_blocks_are_split_at_midnight(settings: Settings, store: EmbeddedStorage) -> None:
    """Events of two days in one topic partition are all stored, each in the table partition of its day."""
    midnight = [trade(n, local_timestamp=DAY + (n - 30) * 10) for n in range(100)]
    await produce(settings, "market.trades", midnight)
    async with running(settings, store):
        await until_count(store, 100)
    days = "SELECT toDate(local_timestamp), count() FROM marketprism.trades GROUP BY 1 ORDER BY 1"
    assert await rows(store, days) == [["2024-08-07", 30], ["2024-08-08", 70]]


async def test_a_recreated_topic_is_detected(settings: Settings, store: EmbeddedStorage) -> None:
    """The sink stops with advice if the topic lacks the offset of a stored row, or has another event there."""
    await produce(settings, "market.trades", [trade(n) for n in range(10)])
    async with running(settings, store):
        await until_count(store, 10)
    for source, offset, finding in (("binance:0:9:0:0", 10, "ends at offset 10"), ("binance:0:99:0:0", 9, "has ")):
        database = f"other{offset}"
        other = settings.model_copy(update={"database": database})
        await asyncio.to_thread(migrate, store, other)
        block = encoded("market.trades", source).decode()
        store.execute(f"INSERT INTO {database}_internal.trades_entry VALUES ('{block}', 0, {offset})")
        with pytest.raises(StorageError, match=f"{finding}.*was recreated.*setting `database`"):
            await asyncio.wait_for(Sink(other, store).run(), 30)
        assert await rows(store, f"SELECT count() FROM {database}.trades") == [[1]]


async def test_a_new_database_is_filled_from_the_topics(settings: Settings, store: EmbeddedStorage) -> None:
    """Everything the broker retains is stored in an empty database, whatever the group has committed."""
    await produce(settings, "market.trades", [trade(n) for n in range(10)])
    async with running(settings, store):
        await until_count(store, 10)
    other = settings.model_copy(update={"database": "second"})
    await asyncio.to_thread(migrate, store, other)
    async with running(other, store):

        async def filled() -> bool:
            return bool(await rows(store, "SELECT count() FROM second.trades") == [[10]])

        await until(filled)


def ask(settings: Settings, sql: str) -> Any:
    try:
        return orjson.loads(run_query(settings, sql, "JSONCompactEachRow").splitlines()[0])
    except StorageError:  # the sink is still starting
        return None


@pytest.mark.e2e
@pytest.mark.parametrize("seed", [1, 2])
async def test_kills_leave_exact_counts(settings: Settings, tmp_path: Path, seed: int) -> None:
    """The sink process is killed repeatedly while events arrive, some of them twice. Every event is one row."""
    chance = random.Random(seed)
    total, next_one = 60_000, 0
    log = tmp_path / "sink.log"
    process = start_process(settings, log)
    try:
        while next_one < total:
            again = max(0, next_one - chance.randrange(200))
            until_one = min(total, next_one + chance.randrange(4_000, 12_000))
            await produce(settings, "market.trades", [trade(n) for n in range(again, until_one)], partition=1)
            next_one = until_one
            await asyncio.sleep(chance.random() * 1.5)
            process.kill()
            await asyncio.to_thread(process.wait)
            process = start_process(settings, log)

        async def complete() -> bool:
            found = await asyncio.to_thread(ask, settings, "SELECT count() FROM trades")
            return found is not None and found[0] >= total

        await until(complete, 120)
        expected = "SELECT count(), uniqExact(id), uniqExact(_offset), max(toUInt32(id)) FROM trades"
        assert await asyncio.to_thread(ask, settings, expected) == [total, total, total, total - 1]
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0, log.read_text()[-3000:]
        assert not (tmp_path / "clickhouse" / "sql_address").exists()
        assert await asyncio.to_thread(ask, settings, "SELECT count() FROM trades") == [total]
    finally:
        process.kill()
        process.wait()


async def test_it_stops_without_the_broker(settings: Settings, store: EmbeddedStorage, tmp_path: Path) -> None:
    """A broker that does not answer any more does not keep the sink from stopping. Everything is stored."""
    with Broker(tmp_path / "kafka", free_port()) as broker:
        own = settings.model_copy(update={"kafka": broker.bootstrap})
        await create_topics(own)
        await produce(own, "market.trades", [trade(n) for n in range(10)])
        sink = Sink(own, store)
        running_sink = asyncio.create_task(sink.run())
        await until_count(store, 10)
        assert broker.pid
        os.killpg(broker.pid, signal.SIGSTOP)
        try:
            sink.stop()
            await asyncio.wait_for(running_sink, 15)
        finally:
            os.killpg(broker.pid, signal.SIGCONT)
