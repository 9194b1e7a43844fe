"""What exchanges offer of the past by REST: one row for each endpoint of a feed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.symbols import Kind

Params = dict[str, str]


@dataclass(frozen=True)
class ByTime:
    """Answers have the rows of a range of time: those from `begin` to before `end` (ms), of which it takes `most`.

    `parameters`: that request such a range, of at most `most` rows.
    `step_s`, `spacing_s`: least and largest distance between two rows, s; 0: those of the requested interval.
    `longest_s`: the longest range of one request, s; 0: without a limit.
    """

    most: int
    parameters: Callable[[int, int, int], Params]
    step_s: float = 0.0
    spacing_s: float = 0.0
    longest_s: float = 0.0


@dataclass(frozen=True)
class ByNumber:
    """Answers have the rows from a number on: trades, which an exchange numbers consecutively.

    `parameters`: that request the rows from a number on. `place`: the number and the time (ms) of a row.
    `first_path`, `first`: the request for the first row from `begin` to before `end` (ms); `number`: the number that
    its rows tell, None if there is none in that time.
    `longest_first_s`: the longest range of that request, s; 0: without a limit.
    `is_after_older`: that request finds the last row before `begin`, whose number the first one follows. So its None
    says that there is none before `begin`, and nothing about those after it.
    `by_id`: whether the number is what a trade is stored under, as its id.
    `merged`: trades that arrive live may merge several rows of the same time, and are stored under the last number.
    `most_between`: numbers that an answer covers, whether they were used or not; 0: it begins with the next used one.
    """

    parameters: Callable[[int], Params]
    place: Callable[[Any], tuple[int, int]]
    first_path: str
    first: Callable[[int, int], Params]
    number: Callable[[list[Any]], int | None]
    first_weight: float = 1.0
    longest_first_s: float = 0.0
    is_after_older: bool = False
    by_id: bool = True
    merged: bool = False
    most_between: int = 0


@dataclass(frozen=True)
class ByPage:
    """Answers are pages, the newest rows first. `parameters`: of a page, which count from 1; None: there are no more.

    `time`: of a row, ms. `step_s`: from one row to the next, s; 0: that of the requested interval, or irregular.
    """

    parameters: Callable[[int], Params | None]
    time: Callable[[Any], int]
    step_s: float = 0.0


@dataclass(frozen=True)
class HistoryRow:
    """One endpoint. `channel`: ours, of which it has the past; of candles without the interval.

    `query`: the parameters, given the exchange's names of the instrument and of the interval, if there is one.
    `rows`: the rows of an answer; raises `ExchangeError` if it is an error.
    `intervals`: the exchange's names of intervals, by ours. `of`: the kinds of instruments that have it; empty: all.
    `reach_s`: how far it goes back, s; 0: to the listing, as far as is known. `latest`: the candles or trades that it
    goes back, if that is its limit.
    `scope`: of long/short ratios. `variant`: of the live channel, whose rows these are; empty: of the usual one.
    """

    path: str
    channel: str
    query: Callable[[str, str], Params]
    rows: Callable[[bytes], list[Any]]
    paging: ByTime | ByNumber | ByPage
    weight: float = 1.0
    of: tuple[Kind, ...] = ()
    intervals: Mapping[str, str] = field(default_factory=dict)
    reach_s: float = 0.0
    latest: int = 0
    scope: str = ""
    variant: str = ""


History = Mapping[str, tuple[HistoryRow, ...]]
"""Rows by kind."""

DAY_S = 86_400.0
