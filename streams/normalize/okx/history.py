"""Parse what OKX's REST API holds of the past (docs/protocols/okx.md §3.6). Rows come newest first."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.messages import Normalized, Reading
from streams.normalize.numbers import check_name, decimal, micros
from streams.normalize.okx.figures import Frame, candle
from streams.normalize.okx.trading import fill
from streams.normalize.rows import read_rows

Parameters = dict[str, str]


def rows_of(body: bytes, parameters: Parameters, instrument: Instrument) -> list[Any]:
    """Return the rows of an answer about an instrument. Errors come with HTTP 200 too."""
    answer = orjson.loads(body)
    if answer["code"] != "0":
        raise FrameError(f"rejected: {answer['code']!r:.60} {answer.get('msg', '')!r:.100}")
    check_name(parameters["instId"], instrument)
    if type(answer["data"]) is not list:
        raise FrameError("not a list of rows")
    return list(answer["data"])


def _candles(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    frame = Frame(f"candle{parameters['bar']}", instrument, now)
    return read_rows(candle, rows_of(body, parameters, instrument), frame, body, "data")


def _trades(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    rows = rows_of(body, parameters, instrument)
    for row in rows:
        check_name(row["instId"], instrument)
    return read_rows(fill, rows, instrument, body, "data")


def _open_interest(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    return read_rows(_interest, rows_of(body, parameters, instrument), instrument, body, "data")


def _interest(row: list[str], instrument: Instrument) -> Reading:
    stamp, contracts, amount, value = row
    is_in_usd = instrument.quote.partition(".")[0] == "USD"
    fields = {
        "contracts": decimal(contracts),
        "amount": decimal(amount),
        "value": decimal(value) if is_in_usd else None,
    }
    return Reading("market.open_interest", "", micros(int(stamp)), fields)


HISTORY: Mapping[str, Callable[[bytes, Parameters, Instrument, int], list[Normalized]]] = {
    "/api/v5/market/history-candles": _candles,
    "/api/v5/market/history-trades": _trades,
    "/api/v5/rubik/stat/contracts/open-interest-history": _open_interest,
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
