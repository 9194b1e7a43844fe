"""Trace sources back to raw lines."""

import pytest
from aiokafka import AIOKafkaProducer

from marketprism.ops.trace import trace
from schemas.errors import MarketPrismError
from schemas.raw import encode_line
from schemas.settings import Settings


async def test_trace_leads_to_the_frame(settings: Settings) -> None:
    """A source leads to the exact line of the raw record."""
    frames = [b'{"a":1}', b'{"b":2}']
    value = b"".join(encode_line(5, "binance:BTC-USDT", frame) for frame in frames)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(settings.topic("raw.binance"), value, partition=1)
    place, line = await trace(settings, "binance:1:0:1:0")
    assert place == f"{settings.topic('raw.binance')}-1@0:1"
    assert (line.key, line.frame) == ("binance:BTC-USDT", frames[1])
    with pytest.raises(MarketPrismError, match="2 lines"):
        await trace(settings, "binance:1:0:7:0")
