"""What is polled by REST: one row for each endpoint of a feed."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from schemas.symbols import Kind


def _current(count: int) -> dict[str, str]:
    return {}


def _unknown(body: bytes) -> int:
    return 0


class PollRow(NamedTuple):
    """One endpoint, polled for each of its subjects: instruments, or the base currencies of a feed's instruments.

    `query`: the parameters, given the subject's own name (an instrument's at the exchange, or the currency).
    `kinds`: the kinds of events in an answer. `of`: the kinds of instruments that have it; empty: all.
    `most`: rows of past periods that one answer can hold; 0: only the current values, so that a missed period is lost.
    `row_s`: seconds from one row to the next, at least; 0: not known, taken for the time between two polls.
    `rows`: the parameters that request that many of the latest rows. `newest`: the time of the newest row in an answer,
    ms since the epoch; 0 if there is none.
    `lag_s`: seconds after a period's end at which the exchange publishes it.
    """

    path: str
    query: Callable[[str], dict[str, str]]
    kinds: tuple[str, ...]
    of: tuple[Kind, ...] = ()
    subject: Literal["instrument", "currency"] = "instrument"
    weight: float = 1.0
    most: int = 0
    row_s: float = 0.0
    rows: Callable[[int], dict[str, str]] = _current
    newest: Callable[[bytes], int] = _unknown
    lag_s: float = 0.0
