"""What each job does, with a real ClickHouse or a real broker."""

import asyncio
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from marketprism.jobs.gaps import fill_gaps
from marketprism.jobs.instruments import refresh_instruments
from marketprism.jobs.outcome import SILENT
from marketprism.jobs.quality import report_quality, summed_up
from marketprism.ops.quality import Score
from schemas.control import RefreshRequest, decode_request
from schemas.errors import StorageError
from schemas.settings import Settings, load_settings
from schemas.topics import CONTROL
from tests.backfill.database import database_with

HOUR = 3_600_000_000  # µs


def score(symbol: str, value: float, reason: str = "", **changes: object) -> Score:
    return Score.model_validate(
        {
            "exchange": "okx",
            "symbol": symbol,
            "hour": 0,
            "score": value,
            "reason": reason,
            "expected_seconds": 3600.0,
            "trades_coverage": 1.0,
            "books_coverage": 1.0,
            "gaps": 0,
            "gaps_filled": 0,
            "gap_seconds": 0.0,
            "trades": 10,
            "trades_lost": 0,
            "trades_late": 0,
            "book_compared": 0,
            "book_differed": 0,
            "candle_compared": 0,
            "candle_differed": 0,
            "candle_explained": 0,
            "latency_channel": "",
            "latency_p50": None,
            "latency_p99": None,
        }
        | changes
    )


def test_the_worst_with_their_reasons() -> None:
    """The report has the mean, and the five worst with their reason, but none that is perfect."""
    bad = [score(f"A{n}-USDT", 90.0 + n, "trades_lost", trades_lost=10 - n) for n in range(6)]
    late = score("ETH-USDT", 50.0, "books_coverage", books_coverage=0.5)
    outcome = summed_up(HOUR, [score("BTC-USDT", 100.0), *bad, late])
    assert outcome.summary.startswith("8 scored: mean 88.1, worst 50.0; okx:ETH-USDT 50.0 (books_coverage 0.5); okx:A0")
    assert outcome.summary.endswith("okx:A3-USDT 93.0 (trades_lost 7)")
    assert (outcome.figures["mean"], outcome.figures["worst"]) == (88.125, 50.0)
    assert [each["symbol"] for each in outcome.figures["reasons"]] == [
        "ETH-USDT", "A0-USDT", "A1-USDT", "A2-USDT", "A3-USDT",
    ]  # fmt: skip
    perfect = summed_up(HOUR, [score("BTC-USDT", 100.0)])
    assert perfect.summary == "1 scored: mean 100.0, worst 100.0"


async def test_quality_of_the_last_full_hour(tmp_path: Path) -> None:
    """The job reads the view, for the hour before the one that goes on."""
    hour = time.time_ns() // 1000 // HOUR * HOUR
    connected = {"local_timestamp": hour - HOUR, "timestamp": hour - HOUR, "type": "connected", "channels": []}
    settings = database_with(tmp_path, [("market.status", connected)])
    outcome = await report_quality(settings, SILENT)
    assert outcome.figures["hour"] == hour - HOUR
    assert outcome.figures["instruments"] == 1
    empty = await report_quality(database_with(tmp_path / "empty", []), SILENT)
    assert empty.summary == "no instrument was to be delivered in the last full hour"


async def test_holes_of_the_last_day(tmp_path: Path) -> None:
    """The holes of the last 24 hours are counted: here two that cannot be filled, one of them lost."""
    now = time.time_ns() // 1000
    gap = {"type": "opened", "since": now - 10, "local_timestamp": now - 9, "timestamp": now - 9}
    gap |= {"first_missing": "", "last_missing": ""}
    old = gap | {"id": "c", "since": now - 30 * HOUR, "local_timestamp": now - 29 * HOUR, "timestamp": now - 29 * HOUR}
    events = [
        ("market.gaps", gap | {"id": "a", "channel": "trades"}),
        ("market.gaps", gap | {"id": "b", "channel": "books"}),
        ("market.gaps", old | {"channel": "trades"}),
    ]
    outcome = await fill_gaps(database_with(tmp_path, events), SILENT)
    assert outcome.summary == "1 missing, 0 filled, 1 still missing, 1 lost"
    assert outcome.figures == {"missing": 1, "filled": 0, "still_missing": 1, "lost": 1}


async def test_nothing_stored(tmp_path: Path) -> None:
    """Without a ClickHouse, the jobs that need it say what to do."""
    nowhere = load_settings(clickhouse=f"chdb://{tmp_path}/nothing")
    for work in (fill_gaps, report_quality):
        with pytest.raises(StorageError, match="start `marketprism demo` or `live`"):
            await work(nowhere, SILENT)


async def test_listings_are_requested(settings: Settings) -> None:
    """The request to ingest names the configured feeds."""
    topic = settings.topic(CONTROL)
    async with AIOKafkaConsumer(topic, bootstrap_servers=settings.kafka, auto_offset_reset="earliest") as consumer:
        outcome = await refresh_instruments(settings.model_copy(update={"feeds": ("okx", "deribit")}), SILENT)
        record = await asyncio.wait_for(consumer.getone(), 30)
    request = decode_request(record.value)
    assert isinstance(request, RefreshRequest)
    assert request.feeds == ["okx", "deribit"]
    assert outcome.summary == "asked ingest for the listings of okx, deribit"
