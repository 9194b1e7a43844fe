"""Trace sources back to raw lines."""

import asyncio

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from marketprism.ops.trace import check_source, trace
from schemas.errors import RawRecordError, StackError
from schemas.raw import encode_line
from schemas.settings import Settings, load_settings

FRAMES = [b'{"a":1}', b'{"b":2}']
RECORD = b"".join(encode_line(5, "binance:BTC-USDT", frame) for frame in FRAMES)
QUOTE = b'live\t{"source":"binance:1:0:1:0","exchange":"binance"}'


async def send(settings: Settings, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(settings.topic(topic), value, partition=1)


async def test_trace_leads_to_the_frame(settings: Settings) -> None:
    """A source leads to the exact line of the raw record."""
    await send(settings, "raw.binance", RECORD)
    [step] = await trace(settings, "binance:1:0:1:0")
    assert step.title.startswith(f"{settings.topic('raw.binance')}-1@0:1  binance:BTC-USDT")
    assert step.body == FRAMES[1]
    with pytest.raises(RawRecordError, match="2 lines"):
        await trace(settings, "binance:1:0:7:0")


async def test_the_join_and_the_sink(settings: Settings) -> None:
    """A line of the join, and an event that the sink could not store, lead down to the raw line."""
    await send(settings, "raw.binance", RECORD)
    await send(settings, "join.quotes", b"tick\tbinance\t1\t5\n" + QUOTE)
    await send(settings, "market.trades", orjson.dumps({"source": "binance:1:0:0:0"}))
    assert [step.body for step in await trace(settings, "join:1:0:1:0")] == [QUOTE, FRAMES[1]]
    assert len(await trace(settings, "join:1:0:0:0")) == 1
    event, raw = await trace(settings, "sink-market.trades:1:0:0:0")
    assert orjson.loads(event.body) == {"source": "binance:1:0:0:0"}
    assert raw.body == FRAMES[0]


async def test_both_sides_of_a_signal(settings: Settings) -> None:
    """A signal leads to the raw lines of both quotes."""
    await send(settings, "raw.binance", RECORD)
    sides = {"buy": "binance:1:0:0:0", "sell": "binance:1:0:1:0"}
    buy, sell = await trace(settings, "join:1:0:0:0", sides)
    assert (buy.body, sell.body) == tuple(FRAMES)
    assert (buy.title.split()[0], sell.title.split()[0]) == ("buy", "sell")


async def test_not_written_yet_and_past_its_retention(settings: Settings) -> None:
    """A record that does not exist yet, and one that is not kept any more, have different answers."""
    for _ in range(3):
        await send(settings, "raw.binance", RECORD)
    with pytest.raises(RawRecordError, match="not written yet: the topic ends at 3"):
        await trace(settings, "binance:1:3:0:0")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    place = TopicPartition(settings.topic("raw.binance"), 1)
    await admin.delete_records({place: RecordsToDelete(before_offset=2)})
    await admin.close()
    with pytest.raises(RawRecordError, match="past its retention: the oldest record that is kept is 2"):
        await trace(settings, "binance:1:1:0:0")
    await send(settings, "join.quotes", QUOTE)
    _, below = await trace(settings, "join:1:0:0:0")
    assert "past its retention" in below.title


@pytest.mark.parametrize("prefix", ["", "none."])
async def test_no_such_partition(settings: Settings, prefix: str) -> None:
    """A partition or a topic that does not exist is answered at once, whatever the settings say of partitions."""
    assumed = settings.model_copy(update={"partitions": 100, "topic_prefix": settings.topic_prefix + prefix})
    async with asyncio.timeout(5):
        with pytest.raises(RawRecordError, match="there is no partition"):
            await trace(assumed, "binance:50:0:0:0")


@pytest.mark.parametrize("number", ["-1", "+1", "1_0", " 1", "", "²", "٣", "9" * 19])
@pytest.mark.parametrize("place", range(4))
def test_malformed_numbers(number: str, place: int) -> None:
    """Only digits of a 64 bit number are a partition, an offset, a line or a count."""
    numbers = ["0"] * 4
    numbers[place] = number
    with pytest.raises(RawRecordError, match="not a source of the form"):
        check_source(":".join(["binance", *numbers]))


async def test_no_broker() -> None:
    """Without a broker the error says how to trace in a finished run's data."""
    with pytest.raises(StackError, match="--data"):
        await trace(load_settings(kafka="127.0.0.1:9"), "binance:1:0:0:0")
