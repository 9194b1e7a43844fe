"""Fill the holes of the ledger from the exchanges' REST history, and say what cannot be filled."""

from collections.abc import Callable, Iterable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from marketprism.backfill.backfill import Summary, add_marker
from marketprism.backfill.job import MARGIN
from marketprism.backfill.ledger import Entry
from marketprism.backfill.run import Show, Wanted, run
from marketprism.captures.replay_sender import ReplaySender
from marketprism.ops.lag import until_stored
from schemas.errors import MarketPrismError
from schemas.events import Gap
from schemas.keys import key_of
from schemas.markers import Filled
from schemas.settings import Settings

_MARGIN = 5_000_000  # µs by which receipt and exchange time may differ
_APART = 600_000_000  # µs between two holes that are filled by one run

Say = Callable[[str], None]


class Part(NamedTuple):
    """Holes of one kind of one instrument that are near one another."""

    feed: str
    symbol: str
    kind: str
    interval: str
    entries: list[Entry]

    @property
    def wanted(self) -> Wanted:
        """What is to be filled: trades by exchange time, which differs a little from the time of receipt."""
        margin = _MARGIN if self.kind == "trades" else 0
        begin = min(entry.begin for entry in self.entries) - margin
        end = max(entry.end for entry in self.entries) + margin
        return Wanted(self.feed, [self.symbol], [self.kind], self.interval or "1m", begin, end)


async def fill(
    settings: Settings, entries: Iterable[Entry], share: float, show: Show, say: Say, margin: int = MARGIN
) -> None:
    """Fill what can be filled, and wait until the tables say so. For what could not be, the reason is said.

    `margin`: µs before now until which live data is not raced.
    """
    marked = set[str]()
    for part in parts(entries):
        try:
            [summary] = await run(settings, part.wanted, share, "", show, say, margin)
        except MarketPrismError as error:
            say(f"cannot fill {part.feed} {part.symbol} {part.kind}: {error}")
            continue
        if part.kind == "trades" and not summary.note:
            await _mark(settings, part.entries)
            marked.add(part.entries[0].exchange)
        elif summary.note:
            say(_incomplete(part, summary))
    for exchange in sorted(marked):
        await until_stored(settings, exchange, Gap.topic_name)


def _incomplete(part: Part, summary: Summary) -> str:
    return f"{part.feed} {part.symbol} {part.kind}: some may still be missing. {summary.note}"


def parts(entries: Iterable[Entry]) -> list[Part]:
    """Return what is to be filled together."""
    series = attrgetter("feed", "symbol", "what", "interval")
    fillable = sorted((each for each in entries if each.can_be_filled), key=lambda each: (*series(each), each.begin))
    return [Part(*names, near) for names, group in groupby(fillable, series) for near in _near(list(group))]


def _near(entries: list[Entry]) -> list[list[Entry]]:
    """Split holes, which are in order, where they are far apart."""
    found = [[entries[0]]]
    for entry in entries[1:]:
        if entry.begin - max(each.end for each in found[-1]) > _APART:
            found.append([])
        found[-1].append(entry)
    return found


async def _mark(settings: Settings, entries: list[Entry]) -> None:
    """Write to the raw topic that these gaps are filled."""
    async with ReplaySender(settings, [entries[0].exchange]) as sender:
        for entry in entries:
            filled = Filled(
                id=entry.gap_id,
                cause=entry.cause,
                since=entry.begin,
                first_missing=entry.first_missing,
                last_missing=entry.last_missing,
            )
            add_marker(sender, settings, key_of(entry.exchange, entry.symbol), filled)
        await sender.flush()
