"""What OKX's REST API has of the past (docs/protocols/okx.md §3.6). Answers have the newest rows first."""

from typing import Any

import orjson

from ingest.exchanges.history import DAY_S, ByNumber, ByTime, History, HistoryRow, Params
from schemas.errors import RejectedError
from schemas.exchanges.okx import BARS

_STATISTICS = "/api/v5/rubik/stat"
_CONTRACTS = f"{_STATISTICS}/contracts"
_TRADES = "/api/v5/market/history-trades"
_PAGE = 100  # trades
_THREE_MONTHS = 90 * DAY_S
_PERIOD_S = 300.0
_LATEST_ROWS = 1430  # of 1440 of statistics: the oldest may be deleted while they are asked for


def is_error(answer: object) -> bool:
    """Return whether an answer, parsed from JSON, is an error: these come with HTTP 200 too."""
    return type(answer) is not dict or answer.get("code") != "0"


def _rows(body: bytes) -> list[Any]:
    answer = orjson.loads(body)
    if is_error(answer):
        raise RejectedError(f"rejected: {body[:200].decode(errors='replace')}")
    return list(answer["data"])


def _between(begin: int, end: int, most: int) -> Params:
    return {"before": str(begin - 1), "after": str(end), "limit": str(most)}


def _from_to(begin: int, end: int, most: int) -> Params:
    return {"begin": str(begin), "end": str(end - 1), "limit": str(most)}


def _bar(name: str, bar: str) -> Params:
    return {"instId": name, "bar": bar}


def _named(name: str, interval: str) -> Params:
    return {"instId": name}


def _after_last(rows: list[Any]) -> int | None:
    """Return the number that follows that of the newest row."""
    return int(rows[0]["tradeId"]) + 1 if rows else None


def _statistics(channel: str, path: str, scope: str = "", **parameters: str) -> HistoryRow:
    return HistoryRow(
        path,
        channel,
        lambda name, interval: {"instId": name, "period": "5m", **parameters},
        _rows,
        ByTime(_PAGE, _from_to, _PERIOD_S, _PERIOD_S),
        of=("perp", "future"),
        reach_s=_LATEST_ROWS * _PERIOD_S,
        scope=scope,
    )


HISTORY: History = {
    "candles": (
        HistoryRow("/api/v5/market/history-candles", "candles", _bar, _rows, ByTime(300, _between), intervals=BARS),
    ),
    "trades": (
        HistoryRow(
            _TRADES,
            "trades",
            _named,
            _rows,
            ByNumber(
                # All that are older than a number, the newest first: asked for as those that follow another.
                parameters=lambda number: {"type": "1", "after": str(number + _PAGE), "limit": str(_PAGE)},
                place=lambda row: (int(row["tradeId"]), int(row["ts"])),
                first_path=_TRADES,
                first=lambda begin, end: {"type": "2", "after": str(begin), "limit": "1"},
                number=_after_last,
                is_after_older=True,
                merged=True,
                most_between=_PAGE,
            ),
            reach_s=_THREE_MONTHS,
        ),
    ),
    "funding": (
        HistoryRow(
            "/api/v5/public/funding-rate-history",
            "funding_history",
            _named,
            _rows,
            ByTime(400, _between, 3600.0, 8 * 3600.0),
            of=("perp",),
            reach_s=_THREE_MONTHS,
        ),
    ),
    "open_interest": (_statistics("open_interest", f"{_CONTRACTS}/open-interest-history"),),
    "long_short_ratios": (
        _statistics("top_account_ratios", f"{_CONTRACTS}/long-short-account-ratio-contract-top-trader", "top_accounts"),
        _statistics(
            "top_position_ratios", f"{_CONTRACTS}/long-short-position-ratio-contract-top-trader", "top_positions"
        ),
        _statistics("account_ratios", f"{_CONTRACTS}/long-short-account-ratio-contract", "all_accounts"),
        _statistics("taker_volumes", f"{_STATISTICS}/taker-volume-contract", "taker_volume", unit="0"),
    ),
}
