"""What HTX's REST APIs have of the past (docs/protocols/htx.md §4.6, §5.6): mostly the latest rows alone."""

from typing import Any

import orjson

from ingest.exchanges.history import DAY_S, ByPage, ByTime, History, HistoryRow, Params
from schemas.errors import RejectedError
from schemas.exchanges.htx import PERIODS, SPOT_PERIODS

_API = "/linear-swap-api/v1"
_MOST = 2000
_TWO_YEARS = 730 * DAY_S
_RATES_PAGE = 50


def is_error(answer: object) -> bool:
    """Return whether an answer, parsed from JSON, is an error: these come with HTTP 200 too."""
    return type(answer) is not dict or answer.get("status") != "ok"


def _answer(body: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(body)
    if is_error(answer):
        raise RejectedError(f"rejected: {body[:200].decode(errors='replace')}")
    return answer


def _rows(body: bytes) -> list[Any]:
    return list(_answer(body)["data"])


def _trades(body: bytes) -> list[Any]:
    return [row for batch in _answer(body)["data"] for row in batch["data"]]


def _ratios(body: bytes) -> list[Any]:
    return list(_answer(body)["data"]["list"])


def _rates(body: bytes) -> list[Any]:
    return list(_answer(body)["data"]["data"])


def _interests(body: bytes) -> list[Any]:
    return list(_answer(body)["data"]["tick"])


def _latest(time: str, size: int = 0, scale: int = 1, step_s: float = 0.0) -> ByPage:
    """Return the paging of the one answer with the latest rows. `time`: the field of a row; `scale`: ms of its unit."""
    parameters = {"size": str(size)} if size else {}
    return ByPage(lambda page: parameters if page == 1 else None, lambda row: int(row[time]) * scale, step_s)


def _spot(symbol: str, period: str) -> Params:
    return {"symbol": symbol} | ({"period": period} if period else {})


def _contract(code: str, period: str) -> Params:
    return {"contract_code": code} | ({"period": period} if period else {})


def _in_seconds(begin: int, end: int, most: int) -> Params:
    return {"from": str(-(-begin // 1000)), "to": str((end - 1) // 1000)}


SPOT_HISTORY: History = {
    "candles": (
        HistoryRow(
            "/market/history/kline",
            "candles",
            _spot,
            _rows,
            _latest("id", _MOST, 1000),
            intervals=SPOT_PERIODS,
            latest=_MOST,
        ),
    ),
    "trades": (HistoryRow("/market/history/trade", "trades", _spot, _trades, _latest("ts", _MOST), latest=_MOST),),
}


def _ratio(channel: str, path: str, scope: str) -> HistoryRow:
    """Return the row of a ratio of the elite, of which an answer has an unknown number of rows."""
    return HistoryRow(
        f"{_API}/{path}",
        channel,
        lambda code, period: {"contract_code": code, "period": "5min"},
        _ratios,
        _latest("ts", step_s=300.0),
        of=("perp",),
        scope=scope,
    )


LINEAR_HISTORY: History = {
    "candles": (
        HistoryRow(
            "/linear-swap-ex/market/history/kline",
            "candles",
            _contract,
            _rows,
            ByTime(_MOST, _in_seconds),
            intervals=PERIODS,
            reach_s=_TWO_YEARS,
        ),
    ),
    "trades": (
        HistoryRow(
            "/linear-swap-ex/market/history/trade", "trades", _contract, _trades, _latest("ts", _MOST), latest=_MOST
        ),
    ),
    "funding": (
        HistoryRow(
            f"{_API}/swap_historical_funding_rate",
            "funding_history",
            _contract,
            _rates,
            ByPage(
                lambda page: {"page_index": str(page), "page_size": str(_RATES_PAGE)},
                lambda row: int(row["funding_time"]),
            ),
            of=("perp",),
        ),
    ),
    "mark_prices": (
        HistoryRow(
            "/index/market/history/linear_swap_mark_price_kline",
            "mark_prices",
            lambda code, period: {"contract_code": code, "period": "1min"},
            _rows,
            _latest("id", _MOST, 1000, 60.0),
            reach_s=_MOST * 60.0,
        ),
    ),
    "open_interest": (
        HistoryRow(
            f"{_API}/swap_his_open_interest",
            "open_interest",
            lambda code, period: {"contract_code": code, "period": "60min", "amount_type": "2"},
            _interests,
            _latest("ts", 200, step_s=3600.0),
            of=("perp",),
            reach_s=200 * 3600.0,
        ),
    ),
    "long_short_ratios": (
        _ratio("top_account_ratios", "swap_elite_account_ratio", "top_accounts"),
        _ratio("top_position_ratios", "swap_elite_position_ratio", "top_positions"),
    ),
}
