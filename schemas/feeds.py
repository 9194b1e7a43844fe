"""The registry of exchanges and feeds."""

from schemas.errors import SymbolError
from schemas.exchanges import binance, deribit, htx, okx
from schemas.exchanges.base import Feed as Feed
from schemas.suggestions import unknown
from schemas.symbols import parse_symbol

FEEDS: dict[str, Feed] = {feed.name: feed for exchange in (binance, okx, htx, deribit) for feed in exchange.FEEDS}

EXCHANGES: tuple[str, ...] = tuple(dict.fromkeys(feed.exchange for feed in FEEDS.values()))


def feed_named(name: str) -> Feed:
    """Return the feed of that name. Raises `SymbolError`, which names the nearest one."""
    try:
        return FEEDS[name.lower()]
    except KeyError:
        raise SymbolError(unknown("feed", name, FEEDS)) from None


def feed_of(exchange: str, symbol: str) -> Feed:
    """Return the feed that serves a canonical symbol of an exchange. Raises `SymbolError` if none does."""
    parsed = parse_symbol(symbol)
    for feed in FEEDS.values():
        if feed.exchange == exchange and feed.carries(parsed):
            return feed
    raise SymbolError(f"{exchange} has no feed for {symbol}")


def to_exchange(feed: str, symbol: str) -> str:
    """Return a feed's own name for a canonical symbol, as REST and payloads spell it: `BTC-USDT` → `BTCUSDT`."""
    return feed_named(feed).to_name(parse_symbol(symbol))


def from_exchange(feed: str, name: str) -> str:
    """Return the canonical symbol for a feed's own name: `BTC-USDT-SWAP` → `BTC-USDT-PERP`.

    Raises `SymbolError` if there is none, or if the symbol that the name looks like belongs to another name.
    """
    known = feed_named(feed)
    symbol = known.to_symbol(name)
    parse_symbol(str(symbol))
    if known.to_name(symbol).upper() != name.upper():
        raise SymbolError(f"{name!r:.80} looks like {symbol}, which is another instrument of {feed}")
    return str(symbol)
