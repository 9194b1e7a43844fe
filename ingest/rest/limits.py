"""Rows with which a connector declares an exchange's REST limits, and the reader of its headers about them."""

from collections.abc import Mapping
from math import isfinite
from typing import Literal, NamedTuple

_MOMENT = 1e12  # ms: a larger number is a moment, a smaller one a duration

Meaning = Literal["used", "remaining", "limit", "reset_ms", "interval_ms"]
"""Meaning of a header: the weight used or requests remaining in this window, how many a window allows, the ms until the
next window (or the moment, ms since the epoch, at which it begins), and the ms that a window lasts."""


class Limit(NamedTuple):
    """Documented limit: `requests` in any `seconds`.

    `apart`: what is counted apart under one row: `path` for each endpoint, or names of query parameters.
    """

    requests: float
    seconds: float
    apart: tuple[str, ...] = ()


class Limits(NamedTuple):
    """All limits of one feed.

    `weight_per_minute`: of all requests together; 0 if the exchange has no weights. `pool`: feeds that name the same
    pool share this weight. `endpoints`: limits of requests, by the path's prefix, of which the longest counts.
    `headers`: what an answer's headers mean, by name.
    """

    weight_per_minute: float
    pool: str
    endpoints: Mapping[str, Limit]
    headers: Mapping[str, Meaning]


class Told(NamedTuple):
    """What an answer's headers tell about the present window; None for what they do not. `reset_s`: s until it ends."""

    used: float | None
    remaining: float | None
    limit: float | None
    reset_s: float | None


def read_headers(rows: Mapping[str, Meaning], headers: Mapping[str, str], now: float) -> Told:
    """Return what the headers tell. `now`: the exchange's time, s since the epoch."""
    told = {meaning: number for name, meaning in rows.items() if (number := _number(headers.get(name))) is not None}
    reset_ms = told.get("reset_ms", told.get("interval_ms"))
    if reset_ms is not None and reset_ms > _MOMENT:
        reset_ms = max(reset_ms - now * 1000, 0.0)
    reset_s = None if reset_ms is None else reset_ms / 1000
    return Told(told.get("used"), told.get("remaining"), told.get("limit"), reset_s)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if isfinite(number) and number >= 0 else None
