"""What a source of the past yields, page by page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from marketprism.backfill.holes import Span


@dataclass(frozen=True)
class Page:
    """An answer: `rows` of it, to fill a span, of which `known` is stored. `position`: all before it is done, µs."""

    path: str
    body: bytes
    rows: int
    span: Span
    known: list[str]
    position: int


@dataclass(frozen=True)
class Source:
    """A part of a job: the `pages` that fill a `span` with the past of a channel.

    `name`: what is shown of it. `note`: what limits the past, if something does.
    """

    channel: str
    name: str
    span: Span
    pages: AsyncIterator[Page]
    note: str = ""
