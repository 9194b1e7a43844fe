"""The registry of exchanges and feeds. A feed is one connection manager: an exchange's market with its own sockets."""

from dataclasses import dataclass

from schemas.errors import SymbolError
from schemas.symbols import Kind, parse_symbol

CHANNELS = ("trades", "books", "quotes")


@dataclass(frozen=True, slots=True)
class Feed:
    name: str
    exchange: str
    kinds: tuple[Kind, ...]


FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Feed("binance-spot", "binance", ("spot",)),
        Feed("binance-usdm", "binance", ("perp", "future")),
        Feed("okx", "okx", ("spot", "perp", "future", "option")),
        Feed("htx-spot", "htx", ("spot",)),
        Feed("htx-linear", "htx", ("perp", "future")),
        Feed("deribit", "deribit", ("spot", "perp", "future", "option")),
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
