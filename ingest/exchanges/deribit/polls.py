"""What is polled of Deribit by REST (docs/protocols/deribit.md §6.6)."""

import time
from collections.abc import Mapping

import orjson

from ingest.exchanges.polls import PollRow

_HOUR = 3_600_000  # ms, between two rows of the funding history


def _named(symbol: str) -> dict[str, str]:
    return {"instrument_name": symbol}


def _latest_hours(count: int) -> dict[str, str]:
    # A period is required, and a number of rows cannot be requested.
    now = time.time_ns() // 1_000_000
    return {"start_timestamp": str(now - count * _HOUR), "end_timestamp": str(now)}


def _newest_hour(body: bytes) -> int:
    return max((row["timestamp"] for row in orjson.loads(body)["result"]), default=0)


def _best_levels(symbol: str) -> dict[str, str]:
    return {"instrument_name": symbol, "depth": "5"}


BEST_LEVELS = PollRow("/api/v2/public/get_order_book", _best_levels, ("quotes",))
POLLS: Mapping[str, PollRow] = {
    "funding_history": PollRow(
        "/api/v2/public/get_funding_rate_history",
        _named,
        ("funding",),
        of=("perp",),
        most=720,  # a month, which clients have seen; the documents give no limit
        row_s=_HOUR / 1000,
        rows=_latest_hours,
        newest=_newest_hour,
        lag_s=60.0,
    ),
}
