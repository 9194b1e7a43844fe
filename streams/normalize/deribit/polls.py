"""Parse the answers of Deribit's REST API to what is polled (docs/protocols/deribit.md §6.6)."""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.instruments import Instrument
from streams.normalize.book_sides import rest_quote_of
from streams.normalize.deribit.figures import computed
from streams.normalize.deribit.trading import whole_book
from streams.normalize.messages import Normalized, SeriesRow
from streams.normalize.numbers import check_name, exact, micros
from streams.normalize.rows import read_rows
from streams.normalize.series import settled_row


def _funding_history(body: bytes, query: dict[str, str], instrument: Instrument, now: int) -> list[Normalized]:
    """Return the interest of each hour, oldest first: the documents promise no order."""
    check_name(query["instrument_name"], instrument)  # the rows do not name it
    rows = read_rows(_settled, exact(body)["result"], instrument, body, "result")
    return sorted(rows, key=lambda row: row.timestamp if isinstance(row, SeriesRow) else 0)


def _book(body: bytes, query: dict[str, str], instrument: Instrument, now: int) -> list[Normalized]:
    return [rest_quote_of(whole_book(exact(body)["result"], instrument))]


def _settled(row: dict[str, Any], instrument: Instrument) -> SeriesRow:
    return settled_row(micros(row["timestamp"]), computed(row["interest_1h"]), interval_hours=1)


ANSWERS: Mapping[str, Callable[[bytes, dict[str, str], Instrument, int], list[Normalized]]] = {
    "/api/v2/public/get_funding_rate_history": _funding_history,
    "/api/v2/public/get_order_book": _book,
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
