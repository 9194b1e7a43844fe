"""Parse the answers of OKX's REST API to what is polled (docs/protocols/okx.md §3.6)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.intervals import end_of
from streams.normalize.book_sides import rest_quote_of
from streams.normalize.messages import Normalized, SeriesRow
from streams.normalize.numbers import check_name, decimal, micros, signed
from streams.normalize.okx.trading import best_levels
from streams.normalize.rows import read_rows
from streams.normalize.series import ratio_row, settled_row

_STATISTICS = "/api/v5/rubik/stat"
_CONTRACTS = f"{_STATISTICS}/contracts"

Parameters = dict[str, str]


class _Statistics(NamedTuple):
    """What the rows of an answer are about."""

    scope: str
    period: str


def _rows(body: bytes, name: str, instrument: Instrument) -> list[Any]:
    """Return the rows of an answer about an instrument or a currency, newest first."""
    answer = orjson.loads(body)
    if answer["code"] != "0":  # errors come with HTTP 200 too
        raise FrameError(f"rejected: {answer['code']!r:.60} {answer.get('msg', '')!r:.100}")
    check_name(name, instrument)
    if type(answer["data"]) is not list:
        raise FrameError("not a list of rows")
    return list(answer["data"])


def _statistics(
    read: Callable[[list[str], _Statistics], SeriesRow],
    subject: str,
    scope: str,
    body: bytes,
    parameters: Parameters,
    instrument: Instrument,
    now: int,
) -> list[Normalized]:
    """Return the rows of an answer, oldest first. `subject`: the parameter that names the instrument or the currency.

    The newest row may be of the period that is still running. It is left out, as each period is published once.
    """
    rows, context = _rows(body, parameters[subject], instrument), _Statistics(scope, parameters["period"])
    messages = read_rows(read, rows, context, body, "data")[::-1]
    return [each for each in messages if not (isinstance(each, SeriesRow) and _is_running(each, context, now))]


def _is_running(row: SeriesRow, context: _Statistics, now: int) -> bool:
    return end_of(row.timestamp, context.period) > now


def _ratio(row: list[str], context: _Statistics) -> SeriesRow:
    stamp, ratio = row
    return ratio_row(*context, micros(int(stamp)), None, None, decimal(ratio))


def _volumes(row: list[str], context: _Statistics) -> SeriesRow:
    stamp, sold, bought = row
    return ratio_row(*context, micros(int(stamp)), decimal(bought), decimal(sold), None)


def _payments(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    """Return the settled funding rates, oldest first."""
    return read_rows(_payment, _rows(body, parameters["instId"], instrument), None, body, "data")[::-1]


def _book(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    [row] = _rows(body, parameters["instId"], instrument)
    return [rest_quote_of(best_levels(row, instrument))]


def _payment(row: dict[str, Any], context: None) -> SeriesRow:
    return settled_row(micros(int(row["fundingTime"])), signed(row["realizedRate"]))


ANSWERS: Mapping[str, Callable[[bytes, Parameters, Instrument, int], list[Normalized]]] = {
    f"{_CONTRACTS}/long-short-account-ratio-contract-top-trader": partial(
        _statistics, _ratio, "instId", "top_accounts"
    ),
    f"{_CONTRACTS}/long-short-position-ratio-contract-top-trader": partial(
        _statistics, _ratio, "instId", "top_positions"
    ),
    f"{_CONTRACTS}/long-short-account-ratio-contract": partial(_statistics, _ratio, "instId", "all_accounts"),
    f"{_STATISTICS}/taker-volume-contract": partial(_statistics, _volumes, "instId", "taker_volume"),
    f"{_CONTRACTS}/long-short-account-ratio": partial(_statistics, _ratio, "ccy", "all_accounts"),
    f"{_STATISTICS}/taker-volume": partial(_statistics, _volumes, "ccy", "taker_volume"),
    "/api/v5/public/funding-rate-history": _payments,
    "/api/v5/market/books": _book,
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
