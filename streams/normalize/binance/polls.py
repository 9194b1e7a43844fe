"""Parse the answers of Binance's REST API to what is polled: docs/protocols/binance.md §1.6, §2.5, §2.7.

USD-M names instruments by `symbol`; COIN-M's statistics are of a `pair`, and polled for its perpetual.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.binance.trading import best_levels
from streams.normalize.messages import Normalized, Reading, SeriesRow
from streams.normalize.numbers import check_name, exact, micros, number, positive, signed
from streams.normalize.rows import read_rows
from streams.normalize.series import ratio_row, settled_row

Parameters = dict[str, str]
Read = Callable[[dict[str, Any], tuple[Instrument, Parameters]], SeriesRow]


def _open_interest(
    body: bytes, parameters: Parameters, instrument: Instrument, local_timestamp: int
) -> list[Normalized]:
    answer = exact(body)
    check_name(answer["symbol"], instrument)
    # A contract of USD-M is a base unit.
    unit = "contracts" if instrument.inverse else "amount"
    fields = {unit: number(answer["openInterest"])}
    return [Reading("market.open_interest", "", micros(answer["time"]), fields)]


def _series(
    read: Read, body: bytes, parameters: Parameters, instrument: Instrument, local_timestamp: int
) -> list[Normalized]:
    rows = exact(body)
    if type(rows) is not list:
        raise FrameError("malformed: not a list of rows")
    return read_rows(read, rows, (instrument, parameters), body)


def _funding(row: dict[str, Any], context: tuple[Instrument, Parameters]) -> SeriesRow:
    check_name(row["symbol"], context[0])
    mark = row.get("markPrice")  # USD-M's since 2023
    return settled_row(
        micros(row["fundingTime"]), signed(row["fundingRate"]), mark_price=positive(mark) if mark else None
    )


def _accounts(scope: str, row: dict[str, Any], context: tuple[Instrument, Parameters]) -> SeriesRow:
    return _ratio(scope, row, context, row["longAccount"], row["shortAccount"], row["longShortRatio"])


def _positions(row: dict[str, Any], context: tuple[Instrument, Parameters]) -> SeriesRow:
    long, short = ("longPosition", "shortPosition") if "longPosition" in row else ("longAccount", "shortAccount")
    return _ratio("top_positions", row, context, row[long], row[short], row["longShortRatio"])


def _takers(row: dict[str, Any], context: tuple[Instrument, Parameters]) -> SeriesRow:
    if context[0].inverse:  # whose `takerBuyVol` counts contracts
        return _ratio("taker_volume", row, context, row["takerBuyVolValue"], row["takerSellVolValue"], None)
    return _ratio("taker_volume", row, context, row["buyVol"], row["sellVol"], row["buySellRatio"])


def _ratio(
    scope: str, row: dict[str, Any], context: tuple[Instrument, Parameters], long: str, short: str, ratio: str | None
) -> SeriesRow:
    instrument, parameters = context
    _check_subject(row, instrument)
    shares = number(long), number(short), None if ratio is None else number(ratio)
    return ratio_row(scope, parameters["period"], micros(row["timestamp"]), *shares)


def _check_subject(row: dict[str, Any], instrument: Instrument) -> None:
    """Check whose row it is; those of USD-M's takers do not say it."""
    if "pair" in row:
        check_name(f"{row['pair']}_PERP", instrument)
    elif "symbol" in row:
        check_name(row["symbol"], instrument)


_SETTLED = partial(_series, _funding)

ANSWERS: Mapping[str, Callable[[bytes, Parameters, Instrument, int], list[Normalized]]] = {
    **dict.fromkeys(("/api/v3/depth", "/fapi/v1/depth", "/dapi/v1/depth"), best_levels),
    "/fapi/v1/openInterest": _open_interest,
    "/dapi/v1/openInterest": _open_interest,
    "/fapi/v1/fundingRate": _SETTLED,
    "/dapi/v1/fundingRate": _SETTLED,
    "/futures/data/topLongShortAccountRatio": partial(_series, partial(_accounts, "top_accounts")),
    "/futures/data/topLongShortPositionRatio": partial(_series, _positions),
    "/futures/data/globalLongShortAccountRatio": partial(_series, partial(_accounts, "all_accounts")),
    "/futures/data/takerlongshortRatio": partial(_series, _takers),
    "/futures/data/takerBuySellVol": partial(_series, _takers),
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
