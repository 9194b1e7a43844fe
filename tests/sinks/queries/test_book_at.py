"""The view `book_at` gives the book that Python rebuilds from the events, to the last digit."""

import random

import pytest

from sinks.sql.read_only import ReadOnlyConnection
from tests.sinks.queries.books import Replay
from tests.sinks.queries.exact import Data
from tests.sinks.queries.maker import BEGIN, INSTRUMENTS, NOW
from tests.sinks.queries.page import BOOK, ask


@pytest.mark.parametrize(("exchange", "symbol"), INSTRUMENTS)
def test_the_book_at_any_time(reader: ReadOnlyConnection, hour: Data, exchange: str, symbol: str) -> None:
    """It equals the book rebuilt event by event: at its events and gaps, just before and after, and between them."""
    chance, replay = random.Random(symbol), Replay(hour, exchange, symbol)
    edges = [row["local_timestamp"] for row in chance.sample(replay.events, 8)]
    edges += [gap[name] for gap in chance.sample(replay.gaps, 4) for name in ("since", "local_timestamp")]
    times = {BEGIN - 1, NOW, *(edge + step for edge in edges for step in (-1, 0, 1))}
    empty = 0
    for at in sorted(times):
        expected = replay.book(at)
        assert ask(reader, BOOK.format(exchange, symbol, at)) == expected, at
        empty += not expected
    assert 5 < empty < len(times) - 5


def test_the_book_before_its_first_snapshot_is_unknown(reader: ReadOnlyConnection, hour: Data) -> None:
    """Neither a time before it nor an instrument without one has rows, also if the time is given as text."""
    first = min(row["local_timestamp"] for row in Replay(hour, *INSTRUMENTS[0]).events)
    assert ask(reader, BOOK.format(*INSTRUMENTS[0], first - 1)) == []
    assert ask(reader, BOOK.format(*INSTRUMENTS[0], first)) != []
    text = "SELECT * FROM book_at(exchange = 'binance', symbol = 'none', at = '2024-08-08 01:02:03.000004')"
    assert ask(reader, text) == []
