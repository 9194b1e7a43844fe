"""Compare an exchange's listing with the known instruments: what was listed, changed or delisted."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ingest.exchanges.listing import Listing
from schemas.instruments import Instrument

_MISSES = 2  # listings in a row that must lack an instrument for it to count as delisted
_FEW = 10  # entries: a listing that was smaller is not checked for a sudden drop


class Changes(NamedTuple):
    """Differences from the previous listing. `delisted`: each instrument with the reason."""

    listed: list[Instrument]
    changed: list[Instrument]
    delisted: list[tuple[Instrument, str]]


class Definitions:
    """The open instruments of one feed. `known`: by canonical symbol."""

    def __init__(self) -> None:
        self.known: dict[str, Instrument] = {}
        self._misses: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()

    @property
    def doubtful(self) -> bool:
        """Whether the last listing lacked an instrument for the first time, so that the next one decides."""
        return bool(self._misses)

    def plausible(self, listing: Listing) -> bool:
        """Whether a listing may be believed: it is not empty, and no query returned less than half of the last time.

        A listing that stays small is believed the second time; an empty one never is.
        """
        before, self._sizes = self._sizes, listing.sizes if listing.sizes.total() else self._sizes
        if not listing.sizes.total():
            return False
        return all(size < _FEW or 2 * listing.sizes[query] >= size for query, size in _common(before, listing.sizes))

    def compare(self, listing: Listing) -> Changes:
        """Apply a plausible listing. An instrument is delisted once it is closed, or missing for the second time."""
        changes = Changes([], [], [])
        for symbol, known in list(self.known.items()):
            if reason := self._delisting_reason(symbol, known, listing):
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

    def _delisting_reason(self, symbol: str, known: Instrument, listing: Listing) -> str:
        """Return why an instrument is delisted; empty if it is not."""
        found = listing.get(symbol)
        if found is None and known.exchange_symbol not in listing.skipped:
            self._misses[symbol] += 1
            return "no longer listed" if self._misses[symbol] >= _MISSES else ""
        self._misses.pop(symbol, None)
        if found is None:  # listed, but with an unusable entry: keep the known definition
            return ""
        if found.status == "closed":
            return "closed"
        renamed = found.exchange_symbol != known.exchange_symbol
        return f"renamed to {found.exchange_symbol}" if renamed else ""


def _common(before: Counter[str], now: Counter[str]) -> Iterator[tuple[str, int]]:
    """Yield the queries of both listings, with their earlier sizes."""
    return ((query, size) for query, size in before.items() if query in now)
