"""Books request snapshots at once at first, and ever less often while none helps."""

from itertools import pairwise

from tests.frames import T0, line, okx, tick
from tests.streams.helpers import Found, bodies, run

KEY = "okx:BTC-USDT"


def snapshot(number: int, bid: str, ask: str, millis: float, previous: int = -1, action: str = "snapshot") -> bytes:
    return line(KEY, okx.book(previous, number, [[bid, "1"]], [[ask, "1"]], action), millis)


def request_times(found: Found) -> list[int]:
    """Return when snapshots were requested, in seconds since the test began."""
    return [(request["timestamp"] - T0 // 1000) // 1_000_000 for request in bodies(found, "control.ingest")]


def test_crossed_before_an_opening() -> None:
    """A crossed book is reported once, requested ever less often, updated, and live once it is no longer crossed."""
    ticks = [tick("okx", 1_000 * second) for second in range(1, 301)]
    updates = [snapshot(5 + each, "12", "11", 500 + each, 4 + each, "update") for each in range(1, 4)]
    opening = line(KEY, okx.book(8, 9, [["12", "0"], ["10", "2"]], [], "update"), 301_000)
    found = run("okx", snapshot(5, "12", "11", 0), *updates, *ticks, opening)
    requests = request_times(found)
    assert 4 <= len(requests) <= 10
    assert max(later - earlier for earlier, later in pairwise(requests)) > 60
    assert [each["reason"] for each in bodies(found, "market.status") if each["type"] == "not_tradable"] == [
        "its snapshot is crossed"
    ]
    assert [(book["type"], book["bids"]) for book in bodies(found, "market.books")] == [("snapshot", [["10", "2"]])]


def test_crossed_snapshots_are_not_requested_again_at_once() -> None:
    """If the response to every request is a crossed book, requests become ever less frequent."""
    records = [snapshot(5 + 10 * each, "12", "11", 1_000 * each) + tick("okx", 1_000 * each) for each in range(1, 121)]
    assert len(request_times(run("okx", *records))) <= 8


def test_gaps_are_requested_at_once() -> None:
    """A book that is live between its gaps requests a snapshot as soon as each of them opens."""
    records = []
    for each in range(10):
        at = each * 10_000
        records += [snapshot(5, "10", "11", at), snapshot(9, "10", "11", at + 6_000, previous=7, action="update")]
    assert request_times(run("okx", *records)) == [10 * each + 6 for each in range(10)]


def test_a_request_without_a_response() -> None:
    """The first requests follow each other quickly, later ones ever less often."""
    records = [tick("okx", 1_000 * second) for second in range(1, 601)]
    found = request_times(run("okx", snapshot(9, "10", "11", 0, previous=7, action="update"), *records))
    assert len(found) <= 12
    assert found[3] < 30
