"""The scores that the API answers."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.history_data import Row, prism
from tests.sinks.events import DAY, event

MINUTE, HOUR = 60_000_000, 3_600_000_000  # µs
NOW = DAY + 10 * HOUR + 30 * MINUTE


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the time at which requests are answered."""
    monkeypatch.setattr("marketprism.api.scores.now_us", lambda: NOW)


def report(channel: str, at: int) -> Row:
    return event("market.status", channels=[channel], local_timestamp=at, clock_offset=0)


async def test_scores_by_hour(tmp_path: Path) -> None:
    """An instrument that was delivered for 15 minutes of the hour in progress, and has been missing since."""
    begin = NOW - 30 * MINUTE
    stamps = range(begin, begin + 16 * MINUTE, MINUTE)
    connected = event("market.status", type="connected", channels=["trades", "books"], local_timestamp=begin)
    with prism(tmp_path) as made:
        made.store("status", [connected])
        made.store("status", [report(channel, at) for at in stamps for channel in ("trades", "books")])
        made.store("trades", [event("market.trades", timestamp=at, local_timestamp=at + 9) for at in stamps])
        made.store("books", [event("market.books", timestamp=at, local_timestamp=at) for at in stamps])
        found = await made.get("quality/scores", hours=2)
        bounds: list[Any] = [(await made.answer("quality/scores", hours=n)).status_code for n in (0, 48, 49, "x")]
    assert (found["start"], found["end"]) == (begin - HOUR, NOW)
    assert found["rows"] == [
        {
            "exchange": "binance", "symbol": "BTC-USDT", "hour": begin, "score": 50, "reason": "trades_coverage",
            "expected_seconds": 1800, "trades_coverage": 0.5, "books_coverage": 0.5,
            "gaps": 0, "gaps_filled": 0, "gap_seconds": 0, "trades": 16, "trades_lost": 0, "trades_late": 0,
            "book_compared": 0, "book_differed": 0, "candle_compared": 0, "candle_differed": 0, "candle_explained": 0,
            "latency_channel": "trades", "latency_p50": 9, "latency_p99": 9,
        }
    ]  # fmt: skip
    assert bounds == [422, 200, 422, 422]
