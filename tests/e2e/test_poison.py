"""A record that kills the worker is skipped after three attempts. Nothing else is affected."""

import asyncio
import base64
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from marketprism.local.roles import WORKER
from schemas.keys import input_partition_of
from schemas.markers import Connected
from schemas.raw import encode_marker
from schemas.settings import Settings
from schemas.topics import raw_topic
from tests.e2e.pipeline import Pipeline
from tests.frames import T0, binance, line

KEY, OTHER = "binance:BTC-USDT", "binance:ETH-USDT"


def eth(frame: bytes) -> bytes:
    return frame.replace(b"BTCUSDT", b"ETHUSDT").replace(b"btcusdt", b"ethusdt")


def book(key: str, millis: float) -> bytes:
    connected = encode_marker(T0 + int(millis * 1e6), key, Connected())
    seed = line(key, binance.snapshot(100, [["10", "1"]], [["11", "1"]]), millis)
    return connected + seed


def trade(key: str, number: int, millis: float, kind: str = "MARKET") -> bytes:
    frame = binance.trade(t=number, X=kind)
    return line(key, eth(frame) if key == OTHER else frame, millis)


async def _send(settings: Settings, *records: tuple[str, bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for key, value in records:
            number = input_partition_of(key, settings.partitions)
            await producer.send_and_wait(settings.topic(raw_topic("binance")), value, partition=number)


@pytest.mark.e2e
@pytest.mark.timeout(240)
async def test_a_record_that_kills_the_worker(settings: Settings, tmp_path: Path) -> None:
    """After three crashes it is one dead letter with its traceback, and its book is resynchronised."""
    poison = trade(KEY, 3, 3, "INSURANCE_FUND") + trade(KEY, 4, 4)
    async with Pipeline(settings, tmp_path / "logs") as pipeline:
        await pipeline.sink()
        await pipeline.start("worker", "-m", "tests.e2e.buggy_worker", ready=WORKER.ready)
        await _send(settings, (KEY, book(KEY, 0)), (OTHER, book(OTHER, 0)))
        await _send(settings, (KEY, trade(KEY, 1, 1)), (KEY, trade(KEY, 2, 2)))
        await _send(settings, (KEY, poison), (OTHER, trade(OTHER, 7, 5)), (KEY, trade(KEY, 5, 5)))
        async with asyncio.timeout(150):
            while not await pipeline.query("SELECT 1 FROM trades WHERE id = '5'"):
                await asyncio.sleep(1)
        await pipeline.wait_until_stored()
        [worker] = [status for status in pipeline.supervisor.statuses if status.name == "worker"]
        assert worker.restarts == 3
        trades = await pipeline.query("SELECT symbol, id FROM trades ORDER BY symbol, id")
        assert [(row["symbol"], row["id"]) for row in trades] == [
            ("BTC-USDT", "1"), ("BTC-USDT", "2"), ("BTC-USDT", "5"), ("ETH-USDT", "7"),
        ]  # fmt: skip
        [letter] = await pipeline.query("SELECT reason, frame, encoding, frame_bytes FROM dead_letters")
        assert "failed on it 3 times" in letter["reason"]
        assert "RuntimeError: a bug in the processor" in letter["reason"]
        assert "in _on_frame_or_die" in letter["reason"]
        kept = base64.b64decode(letter["frame"]) if letter["encoding"] == "base64" else letter["frame"].encode()
        assert (kept, int(letter["frame_bytes"])) == (poison, len(poison))
        gaps = await pipeline.query("SELECT symbol, channel, cause, type FROM gaps ORDER BY channel, type")
        assert [(row["symbol"], row["channel"], row["type"]) for row in gaps if row["cause"] == "skipped"] == [
            ("BTC-USDT", "books", "opened"),
            ("BTC-USDT", "trades", "opened"),
        ]
        [status] = await pipeline.query("SELECT symbol, reason FROM status WHERE type = 'skipped'")
        assert status == {"symbol": "BTC-USDT", "reason": "RuntimeError: a bug in the processor"}
