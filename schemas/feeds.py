"""The registry of exchanges and feeds. A feed is one connection manager: an exchange's market with its own sockets."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import SymbolError
from schemas.symbols import Kind, parse_symbol


@dataclass(frozen=True, slots=True)
class Feed:
    """`taker_bps`: what it trades, and the taker fee of each: public retail rates, basis points
    (docs/protocols/README.md §9)."""

    name: str
    exchange: str
    taker_bps: Mapping[Kind, float]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(self.taker_bps)


FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Feed("binance-spot", "binance", {"spot": 10.0}),
        Feed("binance-usdm", "binance", {"perp": 5.0, "future": 5.0}),
        Feed("okx", "okx", {"spot": 10.0, "perp": 5.0, "future": 5.0, "option": 3.0}),
        Feed("htx-spot", "htx", {"spot": 20.0}),
        Feed("htx-linear", "htx", {"perp": 6.0, "future": 6.0}),
        # Spot's is not published in a readable form: what others take, not to promise too much.
        Feed("deribit", "deribit", {"spot": 10.0, "perp": 3.5, "future": 3.5, "option": 3.0}),
    )
}

EXCHANGES: tuple[str, ...] = tuple(dict.fromkeys(feed.exchange for feed in FEEDS.values()))


def feed_named(name: str) -> Feed:
    """The feed of that name; `SymbolError` lists the known ones."""
    try:
        return FEEDS[name.lower()]
    except KeyError:
        raise SymbolError(f"no feed is called {name!r}: known are {', '.join(FEEDS)}") from None


def feed_of(exchange: str, symbol: str) -> Feed:
    """The feed that carries a canonical symbol of an exchange."""
    kind = parse_symbol(symbol).kind
    for feed in FEEDS.values():
        if feed.exchange == exchange and kind in feed.kinds:
            return feed
    raise SymbolError(f"{exchange} has no feed for {symbol}")
