"""Parse the answers of HTX's REST APIs to what is polled (docs/protocols/htx.md §4.6, §5.6)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from schemas.errors import FrameError
from schemas.exchanges.htx import PERIODS
from schemas.instruments import Instrument
from streams.normalize.amounts import check_convertible
from streams.normalize.book_sides import numeric_levels, rest_quote_of
from streams.normalize.htx.figures import total
from streams.normalize.messages import BookMessage, Normalized, Reading, SeriesRow
from streams.normalize.numbers import check_name, exact, micros, signed
from streams.normalize.rows import read_rows
from streams.normalize.series import ratio_row, settled_row

_INTERVALS = {period: interval for interval, period in PERIODS.items()}


def _answer(body: bytes) -> dict[str, Any]:
    """Return the JSON of an answer. Errors come with HTTP status 200 too."""
    answer: dict[str, Any] = exact(body)
    if answer["status"] != "ok":
        raise FrameError(f"the exchange reports an error: {answer.get('err_msg', answer)!s:.200}")
    return answer


def _book(body: bytes, parameters: dict[str, str], instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    tick = _answer(body)["tick"]
    check_name(parameters.get("symbol") or parameters["contract_code"], instrument)
    # A side without orders is omitted. The `version` is unrelated to the ids of the books in the stream.
    bids, asks = (numeric_levels(tick.get(name) or []) for name in ("bids", "asks"))
    check_convertible(instrument, bids, asks)
    return [rest_quote_of(BookMessage("snapshot", micros(tick["ts"]), 0, 0, -1, bids, asks))]


def _open_interest(
    body: bytes, parameters: dict[str, str], instrument: Instrument, local_timestamp: int
) -> list[Normalized]:
    answer = _answer(body)
    [row] = answer["data"]
    check_name(row["contract_code"], instrument)
    fields = {"contracts": total(row["volume"]), "amount": total(row["amount"]), "value": total(row["value"])}
    return [Reading("market.open_interest", "", micros(answer["ts"]), fields)]


def _ratios(
    scope: str, body: bytes, parameters: dict[str, str], instrument: Instrument, local_timestamp: int
) -> list[Normalized]:
    data, period = _answer(body)["data"], _INTERVALS[parameters["period"]]
    check_name(data["contract_code"], instrument)
    return _oldest_first(read_rows(_ratio, data["list"], (scope, period), body, "data", "list"))


def _ratio(row: dict[str, Any], kind: tuple[str, str]) -> SeriesRow:
    # Accounts that are both long and short are in neither share: `locked_ratio`.
    return ratio_row(*kind, micros(row["ts"]), total(row["buy_ratio"]), total(row["sell_ratio"]), None)


def _funding_history(
    body: bytes, parameters: dict[str, str], instrument: Instrument, local_timestamp: int
) -> list[Normalized]:
    rows = _answer(body)["data"]["data"]
    return _oldest_first(read_rows(_settled_rate, rows, instrument, body, "data", "data"))


def _settled_rate(row: dict[str, Any], instrument: Instrument) -> SeriesRow:
    check_name(row["contract_code"], instrument)
    # `realized_rate` is deprecated, and null.
    return settled_row(micros(int(row["funding_time"])), signed(row["funding_rate"]))


def _oldest_first(rows: list[Normalized]) -> list[Normalized]:
    return sorted(rows, key=lambda row: row.timestamp if isinstance(row, SeriesRow) else 0)


_PATH = "/linear-swap-api/v1"

ANSWERS: Mapping[str, Callable[[bytes, dict[str, str], Instrument, int], list[Normalized]]] = {
    "/market/depth": _book,
    "/linear-swap-ex/market/depth": _book,
    f"{_PATH}/swap_open_interest": _open_interest,
    f"{_PATH}/swap_elite_account_ratio": partial(_ratios, "top_accounts"),
    f"{_PATH}/swap_elite_position_ratio": partial(_ratios, "top_positions"),
    f"{_PATH}/swap_historical_funding_rate": _funding_history,
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
