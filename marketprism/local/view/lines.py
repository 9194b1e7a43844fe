"""Build lines of styled text, which are cheaper to draw than tables of rich."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style


class Cell(NamedTuple):
    """Piece of text with the name of its style."""

    text: str
    style: str = ""

    @property
    def width(self) -> int:
        """Columns of the terminal that the text takes."""
        return len(self.text) if self.text.isascii() else cell_len(self.text)


Line = list[Cell]


def width_of(line: Line) -> int:
    """Return the columns that a line takes."""
    return sum(cell.width for cell in line)


def fit(items: Iterable[Line], width: int, gap: int = 2) -> Line:
    """Join as many items as fit, from the first on. An item is never cut."""
    line: Line = []
    used = 0
    for item in items:
        needed = width_of(item) + (gap if line else 0)
        if used + needed <= width:
            line += [Cell(" " * gap), *item] if line else item
            used += needed
    return line


def padded(line: Line, width: int) -> Line:
    """Fill a line with spaces up to a width."""
    missing = width - width_of(line)
    return [*line, Cell(" " * missing)] if missing > 0 else line


def beside(left: list[Line], right: list[Line], width: int) -> list[Line]:
    """Put two blocks next to each other, the right one from the column `width` + 2 on."""
    height = max(len(left), len(right))
    left, right = (block + [[]] * (height - len(block)) for block in (left, right))
    return [[*padded(one, width), Cell("  "), *other] for one, other in zip(left, right, strict=True)]


def segments(lines: Iterable[Line]) -> Iterator[Segment]:
    """Return the lines as what rich draws, with few pieces."""
    for number, line in enumerate(lines):
        if number:
            yield Segment.line()
        for style, cells in groupby(line, itemgetter(1)):
            yield Segment("".join(cell.text for cell in cells), _style(style))


@lru_cache(maxsize=256)
def _style(name: str) -> Style:
    return Style.parse(name)
