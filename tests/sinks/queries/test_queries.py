"""The queries of docs/queries.md give the answers that Python's decimals give, to the last digit.

Only the results of `sqrt` and `log` are compared within a tolerance: both are irrational.
"""

import pytest

from sinks.sql.read_only import ReadOnlyConnection
from tests.sinks.queries import books, markets, quality, trading
from tests.sinks.queries.exact import Data
from tests.sinks.queries.maker import NOW
from tests.sinks.queries.page import ask, at, compare, queries
from tests.sinks.queries.registry import ANSWERS

QUERIES = queries()
_ANSWERING = (books, markets, quality, trading)  # importing them registers their answers


def test_there_are_twenty_one_queries_with_answers() -> None:
    """Every query of the page has an independent computation."""
    assert len(QUERIES) == 21
    assert set(QUERIES) == set(ANSWERS)


@pytest.mark.parametrize("heading", QUERIES)
def test_answers_are_exact(reader: ReadOnlyConnection, hour: Data, heading: str) -> None:
    """The query, as a read-only client runs it from the page, gives exactly the answer."""
    expected = ANSWERS[heading](hour, NOW)
    assert expected
    compare(heading, ask(reader, at(NOW, QUERIES[heading])), expected)


@pytest.mark.parametrize("heading", QUERIES)
def test_queries_run_as_they_are(reader: ReadOnlyConnection, heading: str) -> None:
    """Without a word replaced, every query runs; of today's data there is none."""
    assert ask(reader, QUERIES[heading]) == []
