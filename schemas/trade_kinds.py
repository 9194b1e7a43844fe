"""Which kinds of trades were executed on the order book: candles are made of these."""

NORMAL = "normal"
_LIQUIDATIONS = "liquidation"  # kinds that begin with it: Deribit executes them on the book

ON_BOOK_SQL = f"kind = '{NORMAL}' OR startsWith(kind, '{_LIQUIDATIONS}')"
"""The same as `is_on_book`, for ClickHouse."""


def is_on_book(kind: str) -> bool:
    """Return whether trades of a kind are executed on the order book: normal ones and liquidations.

    Insurance fund and ADL trades (USD-M) and legs of block trades and combinations (Deribit) have prices that the book
    never had. Unknown kinds count as off the book, too: a candle that lacks a trade is less wrong than one with a wrong
    high.
    """
    return kind == NORMAL or kind.startswith(_LIQUIDATIONS)
