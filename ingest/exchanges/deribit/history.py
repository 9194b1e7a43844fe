"""What Deribit's REST API has of the past (docs/protocols/deribit.md §6.6)."""

from typing import Any

import orjson

from ingest.exchanges.history import ByNumber, ByTime, History, HistoryRow, Params
from schemas.errors import RejectedError
from schemas.exchanges.deribit import RESOLUTIONS

_API = "/api/v2/public"
_TRADES = f"{_API}/get_last_trades_by_instrument"


def _result(body: bytes) -> Any:
    answer = orjson.loads(body)
    if type(answer) is not dict or "result" not in answer:
        raise RejectedError(f"rejected: {body[:200].decode(errors='replace')}")
    return answer["result"]


def _between(begin: int, end: int, most: int) -> Params:
    return {"start_timestamp": str(begin), "end_timestamp": str(end - 1)}


def _named(name: str, resolution: str) -> Params:
    return {"instrument_name": name} | ({"resolution": resolution} if resolution else {})


HISTORY: History = {
    "candles": (
        HistoryRow(
            f"{_API}/get_tradingview_chart_data",
            "candles",
            _named,
            lambda body: list(_result(body).get("ticks", ())),
            ByTime(2000, _between),  # clients have seen 5000; the documents give no limit
            intervals=RESOLUTIONS,
        ),
    ),
    "trades": (
        HistoryRow(
            _TRADES,
            "trades",
            _named,
            lambda body: list(_result(body)["trades"]),
            ByNumber(
                parameters=lambda number: {"start_seq": str(number), "count": "1000", "sorting": "asc"},
                place=lambda row: (int(row["trade_seq"]), int(row["timestamp"])),
                first_path=_TRADES,
                first=lambda begin, end: _between(begin, end, 1) | {"count": "1", "sorting": "asc"},
                number=lambda rows: int(rows[0]["trade_seq"]) if rows else None,
                by_id=False,
            ),
        ),
    ),
    "funding": (
        HistoryRow(
            f"{_API}/get_funding_rate_history",
            "funding_history",
            _named,
            lambda body: list(_result(body)),
            ByTime(720, _between, 3600.0, 3600.0),  # a month, which clients have seen; the documents give no limit
            of=("perp",),
        ),
    ),
}
