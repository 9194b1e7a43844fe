"""What Binance's REST APIs have of the past (docs/protocols/binance.md §1.6, §2.5, §2.7)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from ingest.exchanges.binance.channels import INTERVALS, pair_of
from ingest.exchanges.history import DAY_S, ByNumber, ByTime, History, HistoryRow, Params
from schemas.errors import RejectedError

_HOUR_S = 3600.0
_MONTH_S = 30 * DAY_S - 3600.0  # of statistics; the oldest hour may be deleted while it is asked for


def _rows(body: bytes) -> list[Any]:
    rows = orjson.loads(body)
    if type(rows) is not list:
        raise RejectedError(f"not a list of rows: {body[:200].decode(errors='replace')}")
    return rows


def _between(begin: int, end: int, most: int) -> Params:
    return {"startTime": str(begin), "endTime": str(end - 1), "limit": str(most)}


def _symbol(symbol: str, interval: str) -> Params:
    return {"symbol": symbol} | ({"interval": interval} if interval else {})


def _statistics_of(symbol: str, interval: str) -> Params:
    return {"symbol": symbol, "period": "5m"}


def _statistics_of_pair(symbol: str, interval: str) -> Params:
    return {"pair": pair_of(symbol), "period": "5m"}


def _takers_of_pair(symbol: str, interval: str) -> Params:
    return _statistics_of_pair(symbol, interval) | {"contractType": "PERPETUAL"}


def _candles(path: str, most: int, weight: float, *intervals: str, longest_s: float = 0.0) -> HistoryRow:
    names, paging = {name: name for name in intervals}, ByTime(most, _between, longest_s=longest_s)
    return HistoryRow(path, "candles", _symbol, _rows, paging, weight, intervals=names)


def _first_number(field: str, rows: list[Any]) -> int | None:
    return int(rows[0][field]) if rows else None


def _trades(prefix: str, first_weight: float, fields: tuple[str, str, str], longest_first_s: float = 0.0) -> ByNumber:
    """Return the paging of trades. Aggregated ones, of which `fields[2]` is the number, can be found by time."""
    number, time, first = fields
    return ByNumber(
        parameters=lambda count: {"fromId": str(count), "limit": "1000"},
        place=lambda row: (int(row[number]), int(row[time])),
        first_path=f"{prefix}/aggTrades",
        first=lambda begin, end: _between(begin, end, 1),
        number=partial(_first_number, first),
        first_weight=first_weight,
        longest_first_s=longest_first_s,
    )


def _aggregated(prefix: str, weight: float, reach_s: float, longest_first_s: float = 0.0) -> HistoryRow:
    path = f"{prefix}/aggTrades"
    paging = _trades(prefix, weight, ("a", "T", "a"), longest_first_s)
    return HistoryRow(path, "trades", _symbol, _rows, paging, weight, reach_s=reach_s, variant="aggTrade")


_RAW_TRADES = HistoryRow(
    "/api/v3/historicalTrades",
    "trades",
    _symbol,
    _rows,
    _trades("/api/v3", 4, ("id", "time", "f")),
    weight=25,
)

SPOT_HISTORY: History = {
    "candles": (_candles("/api/v3/klines", 1000, 2, "1s", *INTERVALS),),
    "trades": (_RAW_TRADES, _aggregated("/api/v3", 4, 0)),
}


def _statistics(channel: str, path: str, query: Callable[[str, str], Params], scope: str = "") -> HistoryRow:
    paging = ByTime(500, _between, 300.0, 300.0)
    return HistoryRow(
        f"/futures/data/{path}", channel, query, _rows, paging, of=("perp",), reach_s=_MONTH_S, scope=scope
    )  # fmt: skip


def _futures(
    prefix: str,
    statistics: Callable[[str, str], Params],
    takers: HistoryRow,
    interest: HistoryRow,
    longest_s: float = 0.0,
) -> History:
    """Return the rows of a futures market. Of raw trades it has a past only for those who have a key."""
    marks = ByTime(1500, _between, 60.0, 60.0, longest_s)
    payments = ByTime(1000, _between, 3600.0, 8 * 3600.0)
    return {
        "candles": (_candles(f"{prefix}/klines", 1500, 10, *INTERVALS, longest_s=longest_s),),
        "trades": (_aggregated(prefix, 20, DAY_S - _HOUR_S, _HOUR_S),),
        "funding": (HistoryRow(f"{prefix}/fundingRate", "funding_history", _symbol, _rows, payments, of=("perp",)),),
        "mark_prices": (
            HistoryRow(
                f"{prefix}/markPriceKlines",
                "mark_prices",
                lambda symbol, interval: {"symbol": symbol, "interval": "1m"},
                _rows,
                marks,
                10,
            ),
        ),
        "open_interest": (interest,),
        "long_short_ratios": (
            _statistics("top_account_ratios", "topLongShortAccountRatio", statistics, "top_accounts"),
            _statistics("top_position_ratios", "topLongShortPositionRatio", statistics, "top_positions"),
            _statistics("account_ratios", "globalLongShortAccountRatio", statistics, "all_accounts"),
            takers,
        ),
    }


USDM_HISTORY = _futures(
    "/fapi/v1",
    _statistics_of,
    _statistics("taker_volumes", "takerlongshortRatio", _statistics_of, "taker_volume"),
    _statistics("open_interest", "openInterestHist", _statistics_of),
)
COINM_HISTORY = _futures(
    "/dapi/v1",
    _statistics_of_pair,
    _statistics("taker_volumes", "takerBuySellVol", _takers_of_pair, "taker_volume"),
    _statistics("open_interest", "openInterestHist", _takers_of_pair),
    longest_s=200 * DAY_S,  # from begin to end of a request
)
