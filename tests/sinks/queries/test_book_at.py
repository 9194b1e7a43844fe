"""The view `book_at` gives the book that Python rebuilds from the events, to the last digit."""

import random
from datetime import UTC, datetime

import pytest

from sinks.sql.read_only import ReadOnlyConnection
from tests.sinks.queries.books import Replay
from tests.sinks.queries.exact import Data
from tests.sinks.queries.maker import BEGIN, INSTRUMENTS, NOW
from tests.sinks.queries.page import BOOK, ask


@pytest.mark.parametrize(("exchange", "symbol"), INSTRUMENTS)
def test_the_book_at_any_time(reader: ReadOnlyConnection, hour: Data, exchange: str, symbol: str) -> None:
    """It equals the book rebuilt event by event: at its events, gaps and ends, just before and after, and between."""
    chance, replay = random.Random(symbol), Replay(hour, exchange, symbol)
    edges = [row["local_timestamp"] for row in chance.sample(replay.events, 8)]
    edges += chance.sample(replay.ends, 4)
    edges += [gap[name] for gap in chance.sample(replay.gaps, 4) for name in ("since", "local_timestamp")]
    times = {BEGIN - 1, NOW, *(edge + step for edge in edges for step in (-1, 0, 1))}
    empty = 0
    for at in sorted(times):
        expected = replay.book(at)
        assert ask(reader, BOOK.format(exchange, symbol, at)) == expected, at
        empty += not expected
    assert 5 < empty < len(times) - 5


def test_the_book_before_its_first_snapshot_is_unknown(reader: ReadOnlyConnection, hour: Data) -> None:
    """Neither a time before it nor an instrument without one has rows."""
    first = min(row["local_timestamp"] for row in Replay(hour, *INSTRUMENTS[0]).events)
    assert ask(reader, BOOK.format(*INSTRUMENTS[0], first - 1)) == []
    assert ask(reader, BOOK.format("binance", "none", NOW)) == []


def test_a_time_may_be_a_text(reader: ReadOnlyConnection, hour: Data) -> None:
    """A time given as text is UTC, to the microsecond."""
    replay = Replay(hour, *INSTRUMENTS[0])
    at, book = next((at, book) for row in replay.events if (book := replay.book(at := row["local_timestamp"])))
    text = f"'{datetime.fromtimestamp(at // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}.{at % 1_000_000:06}'"
    number = f"fromUnixTimestamp64Micro({at}, 'UTC')"
    assert ask(reader, BOOK.format(*INSTRUMENTS[0], at).replace(number, text)) == book
