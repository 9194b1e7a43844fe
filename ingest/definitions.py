"""What an exchange lists, compared with what is known: listed, changed and delisted instruments."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ingest.exchanges.listing import Listing
from schemas.instruments import Instrument

_MISSES = 2  # listings in a row that must lack an instrument until it counts as gone
_FEW = 10  # entries: below, each listing is taken as it is


class Changes(NamedTuple):
    """Since the listing before. `delisted`: each with the reason."""

    listed: list[Instrument]
    changed: list[Instrument]
    delisted: list[tuple[Instrument, str]]


class Definitions:
    """The instruments of one feed that are open, by canonical symbol (`known`)."""

    def __init__(self) -> None:
        self.known: dict[str, Instrument] = {}
        self._misses: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()

    @property
    def doubtful(self) -> bool:
        """Whether an instrument was missing in the last listing, and the next one decides."""
        return bool(self._misses)

    def plausible(self, listing: Listing) -> bool:
        """Whether a listing may stand for what exists: it is not empty, nor suddenly less than half of the last one.

        What is told a second time in a row is believed, unless it is nothing at all.
        """
        before, self._sizes = self._sizes, listing.sizes if listing.sizes.total() else self._sizes
        if not listing.sizes.total():
            return False
        return all(size < _FEW or 2 * listing.sizes[asked] >= size for asked, size in _both(before, listing.sizes))

    def compare(self, listing: Listing) -> Changes:
        """Take over a plausible listing. An instrument is gone once it is closed, or missing for the second time."""
        changes = Changes([], [], [])
        for symbol, known in list(self.known.items()):
            if reason := self._gone(symbol, known, listing):
                del self.known[symbol]
                self._misses.pop(symbol, None)
                changes.delisted.append((known, reason))
        for symbol, found in listing.items():
            if found.status == "closed":
                continue
            known_as = self.known.get(symbol)
            if found != known_as:
                self.known[symbol] = found
                (changes.listed if known_as is None else changes.changed).append(found)
        return changes

    def _gone(self, symbol: str, known: Instrument, listing: Listing) -> str:
        """Why an instrument is gone; empty: it is not."""
        found = listing.get(symbol)
        if found is None and known.exchange_symbol not in listing.skipped:
            self._misses[symbol] += 1
            return "not listed any more" if self._misses[symbol] >= _MISSES else ""
        self._misses.pop(symbol, None)
        if found is None:  # listed, but the entry cannot be used: what was known of it still holds
            return ""
        if found.status == "closed":
            return "closed"
        renamed = found.exchange_symbol != known.exchange_symbol
        return f"renamed to {found.exchange_symbol}" if renamed else ""


def _both(before: Counter[str], now: Counter[str]) -> Iterator[tuple[str, int]]:
    """What was asked for both times, with the size of then."""
    return ((asked, size) for asked, size in before.items() if asked in now)
