"""Lay out tables in the space there is: whole columns and rows are left out, and no text is ever cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from marketprism.local.view.lines import Cell, Line, beside, fit, width_of

_EXTRA = 5  # the rank of columns that are rather left out than rows
_GAPS = (3, 2, 1)  # columns between two columns, the widest that fits

Row = Sequence[Cell]


class Column(NamedTuple):
    """A table's column. `rank` 0 is always shown, those of the highest are left out first.

    `least`: width below which it does not shrink, so that changing figures do not move the others. `merged`: a text
    equal to the one above is not repeated.
    """

    name: str
    rank: int = 0
    least: int = 0
    left: bool = False
    merged: bool = False


@dataclass(frozen=True)
class Panel:
    """A titled table. `facts` follow the title; `note` says in red what is wrong with the values.

    `filtered`: the filter that the rows match. `waiting`: what is shown instead of rows as long as there are none.
    """

    name: str
    style: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    facts: str = ""
    note: str = ""
    filtered: str = ""
    waiting: str = ""

    @property
    def height(self) -> int:
        """Lines needed for everything."""
        return max(len(self.rows), bool(self.filtered or self.waiting)) + 2

    def lines(self, width: int, height: int) -> list[Line]:
        """Return the panel in exactly `height` lines, with the number of rows that did not fit."""
        body, shown = _body(self.columns, self.rows, width, height - 1)
        note = f"nothing matches {self.filtered} (Esc clears)" if self.filtered else self.waiting
        if self.rows:
            note = "" if body else "a wider terminal shows these"
        if note:
            body.append(fit([[Cell(note, "yellow")]], width))
        lines = [self._title(width, len(self.rows) - shown), *body]
        return (lines + [[]] * (height - len(lines)))[:height]

    def _title(self, width: int, hidden: int) -> Line:
        style = "red" if self.note else self.style
        end = [Cell(f" +{hidden} more ", "bold yellow"), Cell("──", style)] if hidden else []
        texts = ((self.name, f"bold {style}"), (self.note, "bold red"), (self.facts, "dim"))
        space = width - width_of(end) - 1
        line = fit([[Cell("──", style)], *([Cell(*each)] for each in texts if each[0])], space, 1)
        return [*line, Cell(" " + "─" * (space - width_of(line)), style), *end]


def _body(columns: Sequence[Column], rows: Sequence[Row], width: int, height: int) -> tuple[list[Line], int]:
    """Return the lines of a table, with its header, and the number of rows shown: in two blocks if they fit."""
    fitting = max(height - 1, 0)
    half = (width - 2) // 2
    if len(rows) > fitting > 0 and _needed(columns, rows[: 2 * fitting]) <= half:
        left, right = (_Layout(columns, part, half).lines() for part in (rows[:fitting], rows[fitting : 2 * fitting]))
        return beside(left, right, half), min(len(rows), 2 * fitting)
    layout = _Layout(columns, rows[:fitting], width)
    return layout.lines()[:height], len(layout.rows)


def _needed(columns: Sequence[Column], rows: Sequence[Row]) -> int:
    """Return the width that these rows need without the extra columns."""
    widths = [own for own, column in zip(_measure(columns, rows), columns, strict=True) if column.rank < _EXTRA]
    return sum(widths) + _GAPS[-1] * (len(widths) - 1)


def _measure(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    cells = zip(*rows, strict=True) if rows else ([],) * len(columns)
    return [
        max(column.least, len(column.name), *(cell.width for cell in found))
        for column, found in zip(columns, cells, strict=True)
    ]


class _Layout:
    """The columns, rows and gap that fit a width."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Row], width: int) -> None:
        self.rows = list(rows)
        self._columns = columns
        self._widths = _measure(columns, self.rows)
        self._kept = list(range(len(columns)))
        self._gap = _GAPS[-1]
        while not self._fits(width) and (rank := max(columns[number].rank for number in self._kept)):
            self._kept = [number for number in self._kept if columns[number].rank < rank]
        while not self._fits(width) and self.rows:
            self.rows.remove(max(self.rows, key=lambda row: sum(row[number].width for number in self._kept)))
            self._widths = _measure(columns, self.rows)
        self._header_fits = self._fits(width)
        self._gap = next((gap for gap in _GAPS if self._fits(width, gap)), _GAPS[-1])

    def lines(self) -> list[Line]:
        """Return the header and the rows."""
        if not self._header_fits:
            return []
        names = [Cell(column.name, "dim") for column in self._columns]
        pairs = zip(self.rows, [None, *self.rows], strict=False)
        return [self._line(names), *(self._line(row, above) for row, above in pairs)]

    def _fits(self, width: int, gap: int = _GAPS[-1]) -> bool:
        return sum(self._widths[number] for number in self._kept) + gap * (len(self._kept) - 1) <= width

    def _line(self, row: Row, above: Row | None = None) -> Line:
        line: Line = []
        for number in self._kept:
            column, (text, style) = self._columns[number], row[number]
            space = " " * (self._widths[number] - row[number].width)
            if column.merged and above and above[number].text == text:
                text = " " * row[number].width
            gap = " " * self._gap if line else ""
            line.append(Cell(gap + (text + space if column.left else space + text), style))
        return line
