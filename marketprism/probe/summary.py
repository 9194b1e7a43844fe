"""Summarize a feed: one row per channel or poll, with all its instruments and all intervals of candles."""

from collections.abc import Iterable
from typing import NamedTuple

from marketprism.probe.cell import WORST, Cell, Result, Verdict
from marketprism.probe.feed import FeedProbe
from schemas.channels import family_of

_SHOWN = 3  # reasons of a row


class Row(NamedTuple):
    """One row. `acknowledged`: how many of how many. Times are the longest, in s; None if there is none.

    `fields`: findings of unknown and missing fields and of unknown values; None if they were not looked into.
    `sequence`, `checksum`: of books.
    """

    channel: str
    acknowledged: str
    first_frame_s: float | None
    frames: int
    fields: int | None
    sequence: str
    checksum: str
    result: Result
    reason: str


def rows_of(feed: FeedProbe) -> list[Row]:
    """Return the rows of a feed, those of its listing and clock first."""
    families: dict[str, list[Cell]] = {}
    for cell in feed.cells:
        families.setdefault(family_of(cell.channel), []).append(cell)
    return [_row(name, [(cell, feed.verdict_of(cell)) for cell in cells]) for name, cells in families.items()]


def _row(name: str, cells: list[tuple[Cell, Verdict]]) -> Row:
    firsts = [cell.first_at - cell.asked_at for cell, _ in cells if cell.first_at and cell.asked_at]
    books = [cell.book for cell, _ in cells if cell.book]
    result = next(each for each in WORST if any(verdict.result == each for _, verdict in cells))
    return Row(
        name,
        f"{sum(cell.acknowledged_at is not None for cell, _ in cells)}/{len(cells)}",
        max(firsts, default=None),
        sum(cell.frames for cell, _ in cells),
        _fields([cell for cell, _ in cells]),
        _worst((book.sequence for book in books), "broken", "held"),
        _worst((book.checksum for book in books), "constant", "broken", "held"),
        result,
        _reason(cells, result),
    )


def _fields(cells: list[Cell]) -> int | None:
    if not any(cell.shapes and cell.frames for cell in cells):
        return None
    return len(set[str]().union(*(cell.findings.all() for cell in cells)))


def _worst(states: Iterable[str], *order: str) -> str:
    found = set(states)
    return next((each for each in order if each in found), "")


def _reason(cells: list[tuple[Cell, Verdict]], result: Result) -> str:
    """Return the reasons for the worst verdict, each with the instruments that it is about."""
    about: dict[str, list[str]] = {}
    for cell, verdict in cells:
        if verdict.result == result and verdict.reason:
            about.setdefault(verdict.reason, []).append(_named(cell))
    shown = [f"{_listed(names)}{reason}" for reason, names in list(about.items())[:_SHOWN]]
    return "\n".join([*shown, f"and {len(about) - _SHOWN} more"] if len(about) > _SHOWN else shown)


def _named(cell: Cell) -> str:
    interval = cell.channel.rpartition("candles_")[2] if "candles_" in cell.channel else ""
    return f"{cell.symbol} {interval}".strip()


def _listed(names: list[str]) -> str:
    if not any(names):
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}: "
