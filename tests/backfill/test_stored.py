"""What is stored is found in a real ClickHouse."""

from typing import Any

import pytest

from marketprism.backfill.holes import Span
from marketprism.backfill.job import Job
from marketprism.backfill.stored import Stored
from schemas.instruments import instrument_of_key
from schemas.settings import Settings
from tests.backfill.database import database_with
from tests.sinks.events import DAY

MINUTE = 60_000_000  # µs
HOUR = 60 * MINUTE
SPAN = Span(DAY, DAY + HOUR)
EVENTS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("market.candles", {"interval": "1m", "start": DAY + n * MINUTE, "closed": n != 5, "complete": n != 6})
        for n in (0, 1, 1, 5, 6, 60)
    ),
    ("market.candles", {"interval": "5m", "start": DAY + 2 * MINUTE, "closed": True, "complete": True}),
    (
        "market.candles",
        {"interval": "1m", "start": DAY + 3 * MINUTE, "closed": True, "complete": True, "contract": "perpetual"},
    ),
    (
        "market.candles",
        {"interval": "1m", "start": DAY + 4 * MINUTE, "closed": True, "complete": True, "symbol": "ETH-USDT"},
    ),
    *(("market.trades", {"id": str(n), "timestamp": DAY - 2 + n}) for n in (1, 2, 3, 4, 5, 7)),
    ("market.funding", {"type": "settled", "timestamp": DAY}),
    ("market.funding", {"type": "estimated", "timestamp": DAY + 1}),
    *(("market.mark_prices", {"timestamp": DAY + n}) for n in (5, MINUTE - 1, MINUTE)),
    *(("market.open_interest", {"timestamp": DAY + n * MINUTE}) for n in (1, 6)),
    ("market.long_short_ratios", {"scope": "top_accounts", "period": "5m", "timestamp": DAY}),
    ("market.long_short_ratios", {"scope": "taker_volume", "period": "5m", "timestamp": DAY + MINUTE}),
    ("market.long_short_ratios", {"scope": "top_accounts", "period": "1h", "timestamp": DAY + 2 * MINUTE}),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a database with these events."""
    return database_with(tmp_path_factory.mktemp("stored"), EVENTS)


def stored(settings: Settings, kind: str, span: Span = SPAN) -> Stored:
    return Stored(settings, Job(instrument_of_key("binance:BTC-USDT"), kind, "1m", *span))


async def test_candles(settings: Settings) -> None:
    """Closed, complete candles of the interval and the instrument itself count, each once."""
    candles = stored(settings, "candles")
    assert await candles.times(SPAN, MINUTE) == [DAY, DAY + MINUTE]
    assert await candles.count() == 2


async def test_trades(settings: Settings) -> None:
    """Trades are found by time; they are unbroken if no number is missing among them and next to them."""
    trades = stored(settings, "trades")
    assert await trades.trades(SPAN) == {str(n): DAY - 2 + n for n in (2, 3, 4, 5, 7)}
    assert await trades.busy_hours(Span(DAY - HOUR, DAY + HOUR)) == {DAY // HOUR - 1, DAY // HOUR}
    assert await trades.is_unbroken(Span(DAY, DAY + 3))
    assert not await trades.is_unbroken(Span(DAY, DAY + 4))  # 6 is missing
    assert not await trades.is_unbroken(Span(DAY - 1, DAY + 3))  # 0 is not known
    assert not await trades.is_unbroken(Span(DAY + HOUR, DAY + 2 * HOUR))
    assert await trades.count() == 5


async def test_figures(settings: Settings) -> None:
    """Settled rates and ratios count by their times, samples by their steps."""
    assert await stored(settings, "funding").times(SPAN, 1) == [DAY]
    assert await stored(settings, "mark_prices").times(SPAN, MINUTE) == [DAY, DAY + MINUTE]
    assert await stored(settings, "open_interest").times(SPAN, 5 * MINUTE) == [DAY, DAY + 5 * MINUTE]
    ratios = stored(settings, "long_short_ratios")
    assert await ratios.times(SPAN, 1, "top_accounts") == [DAY]
    assert await ratios.times(SPAN, 1, "taker_volume") == [DAY + MINUTE]
    assert await ratios.count() == 2
