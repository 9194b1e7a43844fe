"""Parse what Deribit's REST API holds of the past (docs/protocols/deribit.md §6.6)."""

from collections.abc import Callable, Mapping
from typing import Any

from orjson import dumps

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.deribit.figures import candle
from streams.normalize.deribit.trading import trade
from streams.normalize.messages import Normalized
from streams.normalize.numbers import check_name, exact
from streams.normalize.rows import read_rows

Parameters = dict[str, str]

_COLUMNS = {"ticks": "tick", "open": "open", "high": "high", "low": "low", "close": "close"}
_VOLUMES = ("volume", "cost")


def _candles(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    """Return the candles of a chart, which come as columns."""
    result, symbol, resolution = exact(body)["result"], parameters["instrument_name"], parameters["resolution"]
    if result["status"] == "no_data":
        return []
    columns = {name: result[column] for column, name in _COLUMNS.items()} | {name: result[name] for name in _VOLUMES}
    if len({len(column) for column in columns.values()}) != 1:
        raise FrameError("columns of different lengths")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def read(row: dict[str, Any], context: Instrument) -> Normalized:
        return candle(row, symbol, resolution, context, now)

    return read_rows(read, rows, instrument, dumps(rows))


def _trades(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    check_name(parameters["instrument_name"], instrument)
    return read_rows(trade, exact(body)["result"]["trades"], instrument, body, "result", "trades")


_PATH = "/api/v2/public"

HISTORY: Mapping[str, Callable[[bytes, Parameters, Instrument, int], list[Normalized]]] = {
    f"{_PATH}/get_tradingview_chart_data": _candles,
    f"{_PATH}/get_last_trades_by_instrument": _trades,
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
