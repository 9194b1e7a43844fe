"""How often a book asks for a snapshot, and what happens to one whose snapshots are crossed."""

from itertools import pairwise
from typing import Any

from tests.frames import T0, line, okx, tick
from tests.streams.test_raw_processor import of, run

KEY = "okx:BTC-USDT"


def snapshot(number: int, bid: str, ask: str, millis: float, previous: int = -1, action: str = "snapshot") -> bytes:
    return line(KEY, okx.book(previous, number, [[bid, "1"]], [[ask, "1"]], action), millis)


def asked(found: list[tuple[str, dict[str, Any]]]) -> list[int]:
    """When, in seconds since the test began."""
    return [(request["timestamp"] - T0 // 1000) // 1_000_000 for request in of(found, "control.ingest")]


def test_crossed_before_an_opening() -> None:
    """It is reported once, asked for less and less often, follows its updates, and goes live when it uncrosses."""
    ticks = [tick("okx", 1_000 * second) for second in range(1, 301)]
    updates = [snapshot(5 + each, "12", "11", 500 + each, 4 + each, "update") for each in range(1, 4)]
    opening = line(KEY, okx.book(8, 9, [["12", "0"], ["10", "2"]], [], "update"), 301_000)
    found = run("okx", snapshot(5, "12", "11", 0), *updates, *ticks, opening)
    requests = asked(found)
    assert 4 <= len(requests) <= 10
    assert max(later - earlier for earlier, later in pairwise(requests)) > 60
    assert [each["reason"] for each in of(found, "market.status") if each["type"] == "not_tradable"] == [
        "its snapshot is crossed"
    ]
    assert [(book["type"], book["bids"]) for book in of(found, "market.books")] == [("snapshot", [["10", "2"]])]


def test_each_crossed_snapshot_costs_no_further_request() -> None:
    """An exchange that answers every request with a crossed book is asked less and less often."""
    records = [snapshot(5 + 10 * each, "12", "11", 1_000 * each) + tick("okx", 1_000 * each) for each in range(1, 121)]
    assert len(asked(run("okx", *records))) <= 8


def test_gaps_are_asked_for_at_once() -> None:
    """A book that lives between its gaps asks as soon as each of them opens."""
    records = []
    for each in range(10):
        at = each * 10_000
        records += [snapshot(5, "10", "11", at), snapshot(9, "10", "11", at + 6_000, previous=7, action="update")]
    assert asked(run("okx", *records)) == [10 * each + 6 for each in range(10)]


def test_a_request_that_nobody_answers() -> None:
    """The first ones follow quickly, then ever later ones."""
    records = [tick("okx", 1_000 * second) for second in range(1, 601)]
    found = asked(run("okx", snapshot(9, "10", "11", 0, previous=7, action="update"), *records))
    assert len(found) <= 12
    assert found[3] < 30
