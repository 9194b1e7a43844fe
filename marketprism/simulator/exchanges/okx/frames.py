"""OKX's payloads of books and trades (docs/protocols/okx.md §3.4).

Prices and amounts are decimal strings as OKX writes them; a level is `[price, amount, "0", orders]`. Times are ms.
"""

from typing import Any

from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.listings import Listing

TextLevels = list[list[str]]


def level(price: str, amount: str, orders: int = 1) -> list[str]:
    """Return a level; the third field is deprecated and always "0"."""
    return [price, amount, "0", str(orders)]


def text_levels(listing: Listing, levels: Levels) -> TextLevels:
    """Return levels in ticks and lots as OKX encodes them."""
    # The number of orders is derived from the level, so that it is the same in all channels.
    return [
        level(listing.price_text(price), listing.amount_text(amount), 1 + (price ^ amount) % 24 if amount else 0)
        for price, amount in levels
    ]


def book(
    name: str, action: str, bids: TextLevels, asks: TextLevels, previous: int, sequence: int, now: int
) -> dict[str, Any]:
    """Return a push of `books`; `action` is `snapshot` (with `previous` -1) or `update`."""
    ids = {"checksum": 0, "prevSeqId": previous, "seqId": sequence}
    return {
        "arg": instrument_argument("books", name),
        "action": action,
        "data": [_sides(bids, asks) | {"ts": str(now)} | ids],
    }


def best_levels(channel: str, name: str, bids: TextLevels, asks: TextLevels, sequence: int, now: int) -> dict[str, Any]:
    """Return a push of `bbo-tbt` or `books5`, which has all levels of the channel."""
    named = {"instId": name} if channel == "books5" else {}
    row = _sides(bids, asks) | named | {"ts": str(now), "seqId": sequence}
    return {"arg": instrument_argument(channel, name), "data": [row]}


def rest_book(bids: TextLevels, asks: TextLevels, sequence: int, now: int) -> dict[str, Any]:
    """Return the row of a REST response with a book."""
    return _sides(bids, asks) | {"ts": str(now), "seqId": sequence}


def aggregated_trade(
    name: str, trade_id: int, price: str, amount: str, side: str, sequence: int, now: int
) -> dict[str, Any]:
    """Return a push of `trades` that aggregates one trade; `side` is that of the taker."""
    row = trade_row(name, trade_id, price, amount, side, now) | {"count": "1", "source": "0", "seqId": sequence}
    return {"arg": instrument_argument("trades", name), "data": [row]}


def trade(name: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    """Return a push of `trades-all`."""
    row = trade_row(name, trade_id, price, amount, side, now) | {"source": "0"}
    return {"arg": instrument_argument("trades-all", name), "data": [row]}


def trade_row(name: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    """Return a trade; `side` is that of the taker."""
    return {"instId": name, "tradeId": str(trade_id), "px": price, "sz": amount, "side": side, "ts": str(now)}


def instrument_argument(channel: str, name: str) -> dict[str, str]:
    """Return the argument of a channel of one instrument or index."""
    return {"channel": channel, "instId": name}


def _sides(bids: TextLevels, asks: TextLevels) -> dict[str, Any]:
    return {"asks": asks, "bids": bids}
