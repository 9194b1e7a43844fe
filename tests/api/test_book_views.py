"""Figures of a book equal a plain computation on its levels."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from marketprism.api.book_views import cost_of, cumulative, imbalance_of, plain, spread_of, value_of, within
from marketprism.client.level import Level
from marketprism.client.order_book import OrderBook

_numbers = st.decimals(min_value="1e-18", max_value="1e18", places=18).filter(lambda number: number > 0)
_levels = st.lists(st.tuples(_numbers, _numbers), min_size=1, max_size=8, unique_by=lambda level: float(level[0]))


def book_of(bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]]) -> OrderBook:
    """Return a book with these levels."""
    book = OrderBook("okx", "BTC-USDT")
    for side, levels in ((book.bids, bids), (book.asks, asks)):
        side.replace(Level(format(price, "f"), format(amount, "f")) for price, amount in levels)
    return book


@given(_levels, _numbers)
def test_the_cost_of_an_amount(asks: list[tuple[Decimal, Decimal]], amount: Decimal) -> None:
    """An order takes the cheapest levels first, and pays exactly their prices."""
    found = cost_of(book_of([], asks), "buy", amount=amount)
    left, paid = Fraction(amount), Fraction(0)
    for price, size in sorted(asks):
        taken = min(left, Fraction(size))
        paid += taken * Fraction(price)
        left -= taken
    assert Fraction(found.value) == paid
    assert Fraction(found.amount) == Fraction(amount) - left
    assert found.filled == (left == 0)


@given(_levels, _numbers)
def test_the_cost_of_a_value(bids: list[tuple[Decimal, Decimal]], value: Decimal) -> None:
    """Selling for a value takes no more than the value, and all of it if the levels hold as much."""
    found = cost_of(book_of(bids, []), "sell", value=value)
    total = sum((Fraction(price) * Fraction(size) for price, size in bids), Fraction(0))
    assert Fraction(found.value) <= Fraction(value) * (1 + Fraction(1, 10**30))
    assert found.filled == (total >= Fraction(value) * (1 - Fraction(1, 10**30)))


def test_an_average_price() -> None:
    """Half at 100 and half at 102 cost 101 on average, which is 100 basis points above the best price."""
    book = book_of([], [(Decimal(100), Decimal(1)), (Decimal(102), Decimal(5))])
    found = cost_of(book, "buy", amount=Decimal(2))
    assert (found.average_price, found.worst_price) == (Decimal(101), Decimal(102))
    assert (found.slippage_bps, found.levels) == (100.0, 2)


def test_an_empty_side() -> None:
    """An empty side has no spread, sells nothing, and has no imbalance."""
    book = book_of([], [])
    assert spread_of(book) is None
    assert imbalance_of(book.bids, book.asks) is None
    cost = cost_of(book, "buy", amount=Decimal(1))
    assert (cost.amount, cost.average_price, cost.filled) == (Decimal(0), None, False)


def test_a_spread() -> None:
    """The spread is in quote units, and in basis points of the mid."""
    found = spread_of(book_of([(Decimal("99.95"), Decimal(1))], [(Decimal("100.05"), Decimal(1))]))
    assert found is not None
    assert (found.spread, found.mid, found.spread_bps) == (Decimal("0.10"), Decimal(100), 10.0)


@given(_levels, st.decimals(min_value=0, max_value=10_000, places=3))
def test_levels_within(asks: list[tuple[Decimal, Decimal]], bps: Decimal) -> None:
    """The levels within a distance are those whose prices are within it."""
    side = list(book_of([], asks).asks)
    best = min(price for price, _ in asks)
    limit = Fraction(best) * (1 + Fraction(bps) / 10_000)
    assert {level.price for level in within(side, best, bps)} == {p for p, _ in asks if Fraction(p) <= limit}


@given(_levels)
def test_sums_are_exact(bids: list[tuple[Decimal, Decimal]]) -> None:
    """The last cumulative figures are the exact totals."""
    side = list(book_of(bids, []).bids)
    *_, (_, _, amount, value) = cumulative(side)
    assert Fraction(amount) == sum(Fraction(size) for _, size in bids)
    assert Fraction(value) == Fraction(value_of(side)) == sum(Fraction(p) * Fraction(s) for p, s in bids)


def test_plain_text() -> None:
    """A decimal is written without an exponent and without zeros at its end."""
    assert [plain(Decimal(text)) for text in ("1E-8", "1E+3", "10.500", "0.0", "-2")] == [
        "0.00000001", "1000", "10.5", "0", "-2",
    ]  # fmt: skip
