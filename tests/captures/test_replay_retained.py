"""Replay what the raw topics hold into those of another prefix."""

from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from marketprism.captures.replay import ReplaySummary
from marketprism.captures.replay_retained import replay_retained
from schemas.errors import SettingsError, StackError
from schemas.keys import input_partition_of
from schemas.markers import Tick
from schemas.raw import encode_line, encode_marker
from schemas.settings import Settings
from tests.captures.test_replay import SECOND, T0, frames
from tests.client.publishing import listed, publish
from tests.ingest.reading import kinds, read_lines, read_records

MICROS = T0 // 1000
KEYS = ("okx:BTC-USDT", "okx:ETH-USDT", "htx:BTC-USDT", "okx:BTC-USDT-PERP")


def other(settings: Settings) -> Settings:
    """Return settings with a new prefix, whose topics do not exist."""
    return settings.model_copy(update={"topic_prefix": f"t{uuid4().hex[:8]}."})


async def fill(settings: Settings, seconds: int) -> None:
    """Write ten frames of each instrument a second, and ticks, as ingest does."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for number in range(seconds * 10):
            stamp = T0 + number * SECOND // 10
            for key in KEYS:
                topic = settings.topic(f"raw.{key.split(':')[0]}")
                value = encode_line(stamp + 1, key, b"%d" % number)
                await producer.send(topic, value, partition=input_partition_of(key, settings.partitions))
            if number % 10 == 0:
                for name in ("okx", "htx"):
                    for partition in range(settings.partitions):
                        tick = encode_marker(stamp, f"{name}:*", Tick())
                        await producer.send(settings.topic(f"raw.{name}"), tick, partition=partition)


async def test_a_span(settings: Settings) -> None:
    """The frames of the span are replayed by receipt time, each instrument with its definition, always the same."""
    await fill(settings, 8)
    fields = {
        "kind": "perp",
        "contract_size": "0.01",
        "tick_size": None,
        "feed": "okx",
        "exchange_symbol": "BTC-USDT-SWAP",
    }
    await publish(settings, "market.instruments", [listed("okx", "BTC-USDT-PERP") | fields])
    into, reports = other(settings), list[tuple[int, int, int]]()

    def progress(done: ReplaySummary, position: int, size: int) -> None:
        reports.append((done.frames, position, size))

    summary = await replay_retained(settings, into, MICROS + 2_000_000, MICROS + 5_000_000, None, progress)
    assert summary.frames == 30 * len(KEYS)
    assert reports[0][0] == 0
    assert reports[-1][0] == summary.frames
    found = await read_lines(into, "okx") | await read_lines(into, "htx")
    for key in KEYS:
        assert frames(found[key]) == [b"%d" % number for number in range(20, 50)]
        assert kinds(found[key])[:3] == ["instrument", "connected", "subscribed"]
    assert orjson.loads(found["okx:BTC-USDT-PERP"][0].frame)["contract_size"] == "0.01"
    for records in (await read_records(into, "okx")).values():
        stamps = [int(line.split(b"\t")[0]) for _, value in records for line in value.splitlines()]
        assert stamps == sorted(stamps)
    again = other(settings)
    await replay_retained(settings, again, MICROS + 2_000_000, MICROS + 5_000_000)
    for name in ("okx", "htx"):
        assert await read_records(again, name) == await read_records(into, name)


async def test_what_is_refused(settings: Settings) -> None:
    """A replay into itself, of nothing, or into topics that hold something."""
    span = MICROS, MICROS + 1_000_000
    with pytest.raises(SettingsError, match="cannot be replayed into themselves"):
        await replay_retained(settings, settings, *span)
    with pytest.raises(StackError, match="hold nothing to replay"):
        await replay_retained(settings, other(settings), *span)
    await fill(settings, 1)
    into = other(settings)
    summary = await replay_retained(settings, into, MICROS + 60_000_000, MICROS + 70_000_000)
    assert (summary.frames, summary.records) == (0, 0)  # nothing was received then, and nothing is written
    await replay_retained(settings, into, *span)
    with pytest.raises(StackError, match=r"raw\.okx holds records already"):
        await replay_retained(settings, into, *span)
