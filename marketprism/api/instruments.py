"""The instruments that the topics have told of, and the state of their feeds."""

from typing import Any

from marketprism.api.feed_state import FeedState, Instrument, state_of
from schemas.errors import SymbolError
from schemas.feeds import FEEDS, feed_of

Key = tuple[str, str]  # exchange, symbol

_FORGET_AFTER = 3_600_000_000  # µs since the last event of a delisted instrument


class Instruments(dict[Key, Instrument]):
    """Instruments by exchange and symbol."""

    def __init__(self) -> None:
        super().__init__()
        self.by_feed: dict[str, list[Instrument]] = {}

    def find(self, exchange: str, symbol: str) -> Instrument | None:
        """Return an instrument, which is added if it is new; None for a currency, or what ingest could not identify."""
        key = exchange, symbol
        instrument = self.get(key)
        if instrument is None:
            try:
                feed = feed_of(exchange, symbol)
            except SymbolError:
                return None
            instrument = self[key] = Instrument(exchange, symbol, feed)
            self.by_feed.setdefault(feed.name, []).append(instrument)
        return instrument

    def seen(self, fields: Any) -> None:
        """Note an event of an instrument."""
        instrument = self.get((fields.exchange, fields.symbol)) or self.find(fields.exchange, fields.symbol)
        if instrument is not None:
            instrument.events += 1
            instrument.last_at = max(instrument.last_at, fields.local_timestamp)

    def feed_state(self, feed: str, now: int) -> FeedState:
        """Return the state of a feed. `now`: µs."""
        return state_of(FEEDS[feed], self.by_feed.get(feed, []), now)

    def on_second(self, now: int) -> None:
        """Note which instruments' events arrive."""
        for instrument in self.values():
            instrument.on_second(now)

    def take_closed(self, now: int) -> list[Key]:
        """Forget the instruments that were delisted a while ago, and return them: options end every day."""
        gone = [key for key, each in self.items() if each.is_closed and now - each.last_at > _FORGET_AFTER]
        for key in gone:
            instrument = self.pop(key)
            self.by_feed[instrument.feed.name].remove(instrument)
        return gone
