"""Compare calculations with prices and amounts on the real engine with Python's decimals."""

from decimal import ROUND_DOWN, Context, Decimal, localcontext
from typing import Any

import pytest

from schemas.errors import StorageError
from sinks.storage.base import Block, Rejection
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import encoded

EXACT = Context(prec=200, rounding=ROUND_DOWN)
PAIRS = {
    "ordinary": [("86749.65", "0.08181"), ("86750.01", "220.5"), ("86749.64", "0.00001")],
    "tiny price": [("0.00000000009", "20000000000000000"), ("0.000000000091", "19999999999999999.5")],
    "least and most": [("0.000000000000000001", "99999999999999999999"), ("0.000000000000000003", "1")],
    "wide": [("1234567890.123456789012345678", "9876543.210987654321098765"), ("3", "0.7")],
    "many": [(f"{60_000 + n}.{n:04}", f"{n % 13}.{n:08}") for n in range(1, 3_000)],
}


def insert(storage: EmbeddedStorage, table: str, values: list[bytes]) -> Rejection | None:
    return storage.insert(f"prism.{table}", Block(0, values, list(range(len(values)))), "a")


def value(storage: EmbeddedStorage, expression: str, table: str) -> Decimal:
    return Decimal(storage.query(f"SELECT toString({expression}) FROM prism.{table}")[0][0])


def cut(number: Decimal, places: int) -> Decimal:
    """Truncate a number, as ClickHouse truncates quotients."""
    return number.quantize(Decimal(1).scaleb(-places), context=EXACT)


@pytest.mark.parametrize("name", PAIRS)
def test_trades(storage: EmbeddedStorage, name: str) -> None:
    """Notional and volume are exact. VWAP is truncated to 36 decimals, and a ratio of two prices to 18."""
    trades = [
        encoded("market.trades", f"binance:0:{n}:0:0", price=price, amount=amount)
        for n, (price, amount) in enumerate(PAIRS[name])
    ]
    assert insert(storage, "trades", trades) is None
    pairs = [(Decimal(price), Decimal(amount)) for price, amount in PAIRS[name]]
    with localcontext(EXACT):
        notional, volume = sum((p * a for p, a in pairs), Decimal(0)), sum((a for _, a in pairs), Decimal(0))
        ratio = max(p for p, _ in pairs) / min(p for p, _ in pairs)
        assert value(storage, "sum(price * amount)", "trades") == notional
        assert value(storage, "sum(amount)", "trades") == volume
        assert value(storage, "sum(price * amount) / sum(amount)", "trades") == cut(notional / volume, 36)
        assert value(storage, "max(price) / min(price)", "trades") == cut(ratio, 18)
        assert value(storage, "sum(if(kind = 'normal', price * amount, 0))", "trades") == notional
        assert value(storage, "quote_volume", "candles_of_trades(interval_seconds = 60)") == notional
        assert value(storage, "quote_volume / volume", "candles_of_trades(interval_seconds = 60)") == cut(
            notional / volume, 36
        )


@pytest.mark.parametrize(
    "bid",
    [("86749.65", "0.08181"), ("0.00000000009", "20000000000000000"), ("0.000000000000000001", "10000000000000000000")],
)
def test_quotes_and_books(storage: EmbeddedStorage, bid: tuple[str, str]) -> None:
    """Ratios, mid, microprice and the notional of a book's levels are exact, in plain columns and in arrays."""
    ask = (f"{Decimal(bid[0]) * 2:f}", "3.5")
    levels: dict[str, Any] = {"bids": [bid, bid], "asks": [ask]}
    assert insert(storage, "quotes", [encoded("market.quotes", **levels)]) is None
    assert insert(storage, "books", [encoded("market.books", **levels)]) is None
    with localcontext(EXACT):
        (bid_price, bid_amount), (ask_price, ask_amount) = map(Decimal, bid), map(Decimal, ask)
        weighted = bid_price * ask_amount + ask_price * bid_amount
        expected = {
            "ask_price / bid_price": Decimal(2),
            "bid_price / ask_price": Decimal("0.5"),
            "(bid_price + ask_price) / 2": cut((bid_price + ask_price) / 2, 18),
            "(bid_price * ask_amount + ask_price * bid_amount) / (bid_amount + ask_amount)": cut(
                weighted / (bid_amount + ask_amount), 36
            ),
            "(ask_price - bid_price) / bid_price * 10000": Decimal(10_000),
        }
        for expression, number in expected.items():
            assert value(storage, expression, "quotes") == number, expression
        depth = "arraySum(arrayMap((p, a) -> p * a, `bids.price`, `bids.amount`))"
        for table in ("quotes", "books"):
            assert value(storage, depth, table) == 2 * bid_price * bid_amount
            assert value(storage, "arraySum(`bids.amount`)", table) == 2 * bid_amount


def test_signals(storage: EmbeddedStorage) -> None:
    """The notional of an opportunity and the profit per unit are exact."""
    amount, profit = "20000000000000000.25", "123.000000000000000001"
    assert insert(storage, "signals", [encoded("signals.arbitrage", amount=amount, profit=profit)]) is None
    with localcontext(EXACT):
        worth = Decimal("60000.2") * Decimal(amount)
        assert value(storage, "sum(buy_average_price * amount)", "signals") == worth
        assert value(storage, "sum(profit) / sum(amount)", "signals") == cut(Decimal(profit) / Decimal(amount), 18)


def test_sums_over_a_year_of_trades(storage: EmbeddedStorage) -> None:
    """Sums and quotients over 300 million trades of 100 trillion each, more than any real year, are exact."""
    price, amount = "1234567890.123456789", "81000.000000000000000001"
    assert insert(storage, "trades", [encoded("market.trades", price=price, amount=amount)]) is None
    with localcontext(EXACT):
        year = Decimal(price) * Decimal(amount) * 300_000_000
        assert value(storage, "sum(price * amount) * 300000000", "trades") == year
        vwap = "(sum(price * amount) * 300000000) / (sum(amount) * 300000000)"
        assert value(storage, vwap, "trades") == Decimal(price)


def test_product_of_the_largest_values(storage: EmbeddedStorage) -> None:
    """The product of the largest column values is exact, and divideDecimal can divide it.

    A product of three such values does not fit, even with 18 decimals: multiplyDecimal reports the overflow.
    """
    most = "99999999999999999999.999999999999999999"
    assert insert(storage, "trades", [encoded("market.trades", price=most, amount=most)]) is None
    with localcontext(EXACT):
        assert value(storage, "sum(price * amount)", "trades") == Decimal(most) ** 2
    assert value(storage, "divideDecimal(sum(price * amount), sum(amount))", "trades") == Decimal(most)
    with pytest.raises(StorageError, match="DECIMAL_OVERFLOW"):
        value(storage, "any(multiplyDecimal(price * amount, price, 18))", "trades")
