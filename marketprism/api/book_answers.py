"""Order books as the API answers them: three formats of one book, and several exchanges' books merged."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

import orjson

from marketprism.api.book_views import amount_of, cumulative, imbalance_of, plain, spread_of
from marketprism.api.spans import now_us
from marketprism.client.level import Level
from marketprism.client.order_book import OrderBook, Side

Format = Literal["enhanced", "simple", "legacy"]


def enhanced(book: OrderBook, depth: int) -> dict[str, Any]:
    """Return a book with its state, its ages, and what follows from its levels."""
    bids, asks = book.levels(depth)
    spread = spread_of(book)
    return {
        **head_of(book),
        "spread": plain(spread.spread) if spread else None,
        "spread_bps": spread.spread_bps if spread else None,
        "mid": plain(spread.mid) if spread else None,
        "imbalance": imbalance_of(bids, asks),
        "bids": accumulated(bids),
        "asks": accumulated(asks),
    }


def head_of(book: OrderBook) -> dict[str, Any]:
    """Return what says which book it is, and of when. Times and ages are µs."""
    return {
        "exchange": book.exchange,
        "symbol": book.symbol,
        "state": book.state,
        "sequence": book.sequence,
        "timestamp": book.timestamp,
        "local_timestamp": book.local_timestamp,
        "age": max(0, now_us() - book.local_timestamp),
        "latency": book.local_timestamp - book.timestamp,
    }


def accumulated(levels: Iterable[Level]) -> list[dict[str, Any]]:
    """Return levels with the amount and the value of all levels up to each."""
    return [
        {"price": price, "amount": amount, "cumulative_amount": plain(amounts), "cumulative_value": plain(values)}
        for price, amount, amounts, values in cumulative(levels)
    ]


def simple(book: OrderBook, depth: int = 1) -> dict[str, Any]:
    """Return the best prices and the amounts there, None without a level."""
    bid, ask = book.best_bid, book.best_ask
    return {
        "exchange": book.exchange,
        "symbol": book.symbol,
        "state": book.state,
        "local_timestamp": book.local_timestamp,
        "bid": bid.price_text if bid else None,
        "bid_amount": bid.amount_text if bid else None,
        "ask": ask.price_text if ask else None,
        "ask_amount": ask.amount_text if ask else None,
    }


def legacy(book: OrderBook, depth: int) -> dict[str, Any]:
    """Return arrays of numbers, as CCXT's `fetchOrderBook` has them; they have exactly the published digits."""
    bids, asks = book.levels(depth)
    return {
        "symbol": book.symbol,
        "timestamp": book.timestamp // 1000,
        "nonce": book.sequence,
        "bids": orjson.Fragment(_numbers(bids)),
        "asks": orjson.Fragment(_numbers(asks)),
    }


def _numbers(levels: Iterable[Level]) -> str:
    return "[" + ",".join(f"[{level.price_text},{level.amount_text}]" for level in levels) + "]"


FORMATS = {"enhanced": enhanced, "simple": simple, "legacy": legacy}


def merged(symbol: str, books: list[OrderBook], depth: int) -> dict[str, Any]:
    """Return the levels of several live books in one, each with the exchanges that hold it. It may be crossed."""
    return {
        "symbol": symbol,
        "exchanges": [book.exchange for book in books],
        "bids": _merged_side([(book.exchange, book.bids) for book in books], depth, best_is_highest=True),
        "asks": _merged_side([(book.exchange, book.asks) for book in books], depth, best_is_highest=False),
    }


def _merged_side(sides: list[tuple[str, Side]], depth: int, best_is_highest: bool) -> list[dict[str, Any]]:
    places: dict[Decimal, list[tuple[str, Level]]] = {}
    for exchange, side in sides:
        for level in side.levels(depth):
            places.setdefault(level.price, []).append((exchange, level))
    prices = sorted(places, reverse=best_is_highest)[:depth]
    return [_merged_level(price, places[price]) for price in prices]


def _merged_level(price: Decimal, held: list[tuple[str, Level]]) -> dict[str, Any]:
    amount = amount_of(level for _, level in held)
    return {
        "price": plain(price),
        "amount": plain(amount),
        "exchanges": [{"exchange": exchange, "amount": level.amount_text} for exchange, level in held],
    }
