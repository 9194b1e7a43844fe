"""Rebuild books from events."""

import random
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import pytest

from marketprism.client.events import Book, Gap, Status
from marketprism.client.order_book import OrderBooks
from tests.client.publishing import book, gap, status


def decoded(body: dict[str, Any]) -> Book | Gap | Status:
    model: type[Book] | type[Gap] | type[Status]
    model = Gap if "cause" in body else Book if "bids" in body else Status
    event = msgspec.json.decode(orjson.dumps(body), type=model)
    assert isinstance(event, Book | Gap | Status)
    return event


def test_equals_a_plain_dict() -> None:
    """After many updates, the sides equal those that a dict of decimals has."""
    chance = random.Random(1)
    sides: tuple[dict[Decimal, Decimal], ...] = ({}, {})
    books = OrderBooks()
    for number in range(1_000):
        is_snapshot = number % 250 == 0
        changes = [[[f"{chance.randrange(200) / 4:.{chance.choice([2, 4])}f}", str(chance.randrange(3))]
                    for _ in range(chance.randrange(6))] for _ in sides]  # fmt: skip
        if is_snapshot:
            changes = [[[price, "1"] for price, _ in levels] for levels in changes]
            for side in sides:
                side.clear()
        for side, levels in zip(sides, changes, strict=True):
            side |= {Decimal(price): Decimal(amount) for price, amount in levels}
            for price in [price for price, amount in side.items() if not amount]:
                del side[price]
        found = books.apply(decoded(book(number, *changes, type="snapshot" if is_snapshot else "update")))
        assert found is not None
        assert [tuple(level) for level in found.bids] == sorted(sides[0].items(), reverse=True)
        assert [tuple(level) for level in found.levels(3)[1]] == sorted(sides[1].items())[:3]


def test_updates_before_the_first_snapshot() -> None:
    """They say nothing about the rest of the book."""
    books = OrderBooks()
    assert books.apply(decoded(book(1, [["1", "1"]], []))) is None
    assert books.apply(decoded(gap(2, "opened"))) is None
    assert list(books) == []


def test_a_gap_makes_the_book_stale() -> None:
    """It is live again with its next event. Gaps of trades do not matter, nor does the order of the two topics."""
    books = OrderBooks()
    states = []
    for body in (
        book(1, [["1", "1"]], [["2", "1"]], type="snapshot"),
        gap(2, "opened", "trades"),
        gap(3, "opened"),
        book(2, [["1", "2"]], []),  # came before the gap, but arrives later
        gap(5, "closed"),
        book(5, [["1", "1"]], [["2", "1"]], type="snapshot"),
        gap(4, "opened"),  # is over already
        book(6, [], [["2", "0"]]),
    ):
        changed = books.apply(decoded(body))
        states.append(changed.state if changed else None)
    assert states == ["live", None, "stale", "stale", None, "live", None, "live"]
    [found] = books
    assert repr(found) == "<okx BTC-USDT live: 1 (1) / –>"
    assert found.best_ask is None


@pytest.mark.parametrize("kind", ["stopped", "silent", "delisted"])
def test_an_end_without_a_gap_makes_the_book_stale(kind: str) -> None:
    """It is live again with its next event. Reports and other channels do not matter."""
    books = OrderBooks()
    states = []
    for body in (
        status(1, kind),  # of no book yet
        book(2, [["1", "1"]], [["2", "1"]], type="snapshot"),
        status(3, kind, "trades"),
        status(4, "report", "books"),
        status(5, kind, "trades", "books"),
        status(6, kind),
        book(4, [["1", "2"]], []),  # came before, but arrives later
        book(7, [["1", "1"]], [["2", "1"]], type="snapshot"),
        status(6, kind),  # is over already
        status(8, kind),
    ):
        changed = books.apply(decoded(body))
        states.append(changed.state if changed else None)
    assert states == [None, "live", None, None, "stale", None, "stale", "live", None, "stale"]
