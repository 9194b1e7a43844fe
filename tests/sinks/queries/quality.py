"""The quality by hour: what is missing at each time, looked up in the events themselves."""

from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from tests.sinks.queries.exact import DAY, HOUR, MINUTE, Data, Row, grouped, instrument
from tests.sinks.queries.registry import Answer, answers

_ENDS = ("stopped", "delisted")
_STATES = ("connected", "silent", "refused", "resumed", *_ENDS)


class _Gap(NamedTuple):
    """A reported gap. `lost`: the trades that it still lacks; None: it is not known."""

    channel: str
    begin: int
    end: int
    is_missing: bool
    lost: int | None


def _gaps(rows: list[Row], now: int) -> list[_Gap]:
    found = []
    for _, events in grouped(rows, lambda row: row["id"]).items():
        times = {row["type"]: row["local_timestamp"] for row in events}
        gap, is_open, is_filled = events[0], "closed" not in times, "filled" in times
        if gap["channel"] == "trades" and gap["first_missing"]:
            is_missing, end = is_open and not is_filled, times["opened"]
            lost: int | None = (int(gap["last_missing"]) - int(gap["first_missing"]) + 1) * is_missing
        else:
            is_missing = gap["channel"] == "books" or not is_filled
            end, lost = times.get("closed", now), None if is_missing and gap["channel"] == "trades" else 0
        found.append(_Gap(gap["channel"], gap["since"], min(end, now), is_missing, lost))
    return found


class _Channel:
    """One channel of an instrument, asked about any time."""

    def __init__(self, name: str, status: list[Row], gaps: list[_Gap]) -> None:
        self.gaps = [gap for gap in gaps if gap.channel == name]
        states = [row for row in status if row["type"] in _STATES]
        self._states = [row for row in states if not row["channels"] or name in row["channels"]]
        self._reports = [row for row in status if row["type"] == "report" and row["channels"][:1] == [name]]
        self.signs = sorted(row["local_timestamp"] for row in self._states + self._reports)
        messages = [row["local_timestamp"] for row in self._reports if row["messages"]]
        self._heard = [max(group) for group in grouped(messages, lambda at: at // MINUTE).values()]

    def times(self) -> set[int]:
        """Return all times at which anything may change."""
        ends = {at for gap in self.gaps for at in (gap.begin, gap.end)}
        return ends | set(self.signs) | set(self._heard)

    def is_expected(self, at: int) -> bool:
        states = [row["type"] for row in self._states if row["local_timestamp"] <= at]
        if states:
            return states[-1] not in _ENDS
        return any(row["local_timestamp"] <= at for row in self._reports)

    def is_missing(self, at: int, now: int) -> bool:
        return (
            any(gap.is_missing and gap.begin <= at < gap.end for gap in self.gaps)
            or self._is_silent(at)
            or self._is_unreported(at, now)
        )

    def _is_silent(self, at: int) -> bool:
        told = [row for row in self._states if row["local_timestamp"] <= at and row["type"] != "connected"]
        if not told or told[-1]["type"] not in ("silent", "refused"):
            return False
        return not any(told[-1]["local_timestamp"] < heard <= at for heard in self._heard)

    def _is_unreported(self, at: int, now: int) -> bool:
        before = [sign for sign in self.signs if sign <= at]
        after = min((sign for sign in self.signs if sign > at), default=now)
        return bool(before) and after - before[-1] > MINUTE


def _hour_of(row: Row) -> int:
    return int(row["local_timestamp"] // HOUR * HOUR)


def _parts(
    data: Data, key: tuple[str, str], hour: int, coverage: dict[str, float | None], lost: int | None
) -> list[Any]:
    """Return the known parts with their columns."""
    rows = [row for row in data["quality"] if instrument(row) == key and _hour_of(row) == hour]
    reports = [row for row in rows if row["type"] == "report"]
    trades = sum(instrument(row) == key and _hour_of(row) == hour for row in data["trades"])
    late = sum(row["late"] for row in reports)

    def count(check: str, field: str) -> int:
        return sum(row[field] for row in reports if row["check"] == check)

    unknown = sum(row["type"] == "difference" and row["check"] == "candle" and not row["cause"] for row in rows)
    shares = (
        ("trades_lost", trades, trades + lost if lost is not None else 0, False),
        ("trades_late", late, max(trades, late), True),
        ("book_differed", count("book", "differed"), count("book", "compared"), True),
        ("candle_differed", min(unknown, count("candle", "differed")), count("candle", "compared"), True),
    )
    known = [(1 - part / whole if is_bad else part / whole, name) for name, part, whole, is_bad in shares if whole]
    return [(share, f"{name}_coverage") for name, share in coverage.items() if share is not None] + known


@answers("Quality by hour")
def quality(data: Data, now: int) -> Answer:
    found: Answer = []
    for key in sorted({instrument(row) for row in data["status"]}):
        gaps = _gaps([row for row in data["gaps"] if instrument(row) == key], now)
        status = [row for row in data["status"] if instrument(row) == key and row["local_timestamp"] < now]
        channels = {name: _Channel(name, status, gaps) for name in ("trades", "books")}
        for hour in range((now - DAY) // HOUR * HOUR, now, HOUR):
            if row := _row(data, key, channels, hour, now):
                found.append((hour, *key, *row))
    return sorted((row for row in found if row[3] < 100), key=lambda row: (row[3], *row[:3]))[:20]


def _row(
    data: Data, key: tuple[str, str], channels: dict[str, _Channel], hour: int, now: int
) -> tuple[Any, ...] | None:
    end, coverage, seconds = min(hour + HOUR, now), {}, Decimal(0)
    for name, channel in channels.items():
        edges = sorted({hour, end, *(at for at in channel.times() if hour < at < end)})
        spans = [(begin, stop - begin) for begin, stop in pairwise(edges)]
        expected = sum(length for at, length in spans if channel.is_expected(at))
        missing = sum(length for at, length in spans if channel.is_expected(at) and channel.is_missing(at, now))
        coverage[name] = 1 - missing / expected if expected else None
        within = sum(length for at, length in spans if any(gap.begin <= at < gap.end for gap in channel.gaps))
        seconds += Decimal(within) / 1_000_000
    if coverage == {"trades": None, "books": None}:
        return None
    here = [gap for each in channels.values() for gap in each.gaps if gap.begin < end and gap.end > hour]
    unknown = any(gap.lost is None for gap in here)
    lost = sum(gap.lost or 0 for gap in here if gap.begin >= hour)
    total = None if unknown and not lost else lost
    share, reason = min(_parts(data, key, hour, coverage, total), key=lambda part: part[0])
    return share * 100, reason if share < 1 else "", *coverage.values(), len(here), seconds, total
