"""Read the view `data_quality`: the quality of each instrument's data by hour (docs/quality.md)."""

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from schemas.settings import Settings
from sinks.sql.client import run_query

QUERY = """
SELECT * REPLACE (toUnixTimestamp(hour) * 1000000 AS hour)
FROM data_quality(
    since = fromUnixTimestamp64Micro({since:Int64}, 'UTC'), until = fromUnixTimestamp64Micro({until:Int64}, 'UTC'))
ORDER BY hour, exchange, symbol
"""


class Score(BaseModel):
    """The quality of one instrument's data in one hour: a row of the view, with its comments."""

    model_config = ConfigDict(frozen=True)

    exchange: str = Field(description="binance, okx, htx or deribit")
    symbol: str = Field(description="our name of the instrument")
    hour: int = Field(description="begin of the hour of receipt, microseconds")
    score: float = Field(description="the lowest part times 100, from 0 to 100")
    reason: str = Field(description="column that the lowest part is made of; empty: all parts are 1")
    expected_seconds: float = Field(description="time of the hour in which it was to be delivered, seconds")
    trades_coverage: float | None = Field(
        description="share of this time without missing trades, 0 to 1; NULL: not ingested"
    )
    books_coverage: float | None = Field(
        description="share of this time without a missing book, 0 to 1; NULL: not ingested"
    )
    gaps: int = Field(description="gaps of trades and books that were open in the hour, filled ones too")
    gaps_filled: int = Field(description="of these gaps, those that were filled from the past")
    gap_seconds: float = Field(description="time within gaps, filled ones too, of trades plus of books, seconds")
    trades: int = Field(description="trades received live")
    trades_lost: int | None = Field(description="trades still missing, by their numbers; NULL: a gap has no numbers")
    trades_late: int = Field(description="trades that came after their candle was closed")
    book_compared: int = Field(description="truth checks of the book")
    book_differed: int = Field(description="of these, those in which the exchange's BBO differed")
    candle_compared: int = Field(description="candles of trades compared with the exchange's own")
    candle_differed: int = Field(description="of these, those that differed")
    candle_explained: int = Field(description="of those that differed, those whose cause is known")
    latency_channel: str = Field(description="trades; books, if no trade has a time; empty: neither has one")
    latency_p50: int | None = Field(
        description="median from exchange time to receipt, by the exchange's clock, microseconds"
    )
    latency_p99: int | None = Field(description="99th percentile of the same, microseconds")


async def scores(settings: Settings, since: int, until: int) -> list[Score]:
    """Return the scores from the hour of `since` until `until`, by hour, exchange and symbol. Times: µs of receipt.

    Raise `StorageError` if ClickHouse does not answer.
    """
    given = {"since": str(since), "until": str(until)}
    answer = await asyncio.to_thread(run_query, settings, QUERY, "JSONEachRow", given)
    return [Score.model_validate_json(line) for line in answer.splitlines()]
