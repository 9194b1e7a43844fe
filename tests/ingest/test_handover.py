"""What is written to the raw topic while one connection takes over from another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.exchanges.base import Route
from ingest.handover import Handover
from ingest.subscription import Subscription, discard

SECOND = 10**9
KEY = "okx:BTC-USDT"


class Sockets:
    """Two connections with one subscription each, and the frames that were written."""

    def __init__(self, channel: str, chained: bool, in_rows: bool = False) -> None:
        self.written: list[bytes] = []
        self.route = Route("data", "BTC-USDT", channel)
        self.old, self.new = (Subscription(self.route, self.write, in_rows) for _ in range(2))
        self.subscriptions = {self.route: self.new}
        self.handover = Handover({self.route: self.old}, chained, self.write)
        self.handover.prepare(self.new)
        self.new.acknowledged_at = 1

    def write(self, stamp: int, key: str, frame: bytes) -> None:
        self.written.append(frame)

    def frame(self, which: str, number: int, now: int) -> None:
        subscription = self.old if which == "old" else self.new
        subscription.write(now, KEY, b"%s %d" % (which.encode(), number))
        subscription.last_message_at = now
        self.handover.advance(self.subscriptions, now)


def test_quotes_and_books_with_snapshots_switch_at_once() -> None:
    """The new connection's first frame silences the old one."""
    for channel, chained in (("quotes", True), ("quotes", False), ("books", False)):
        sockets = Sockets(channel, chained)
        for which, number in (("old", 1), ("old", 2), ("new", 2), ("old", 3), ("new", 3)):
            sockets.frame(which, number, number * SECOND)
        assert sockets.written == [b"old 1", b"old 2", b"new 2", b"new 3"]


@pytest.mark.parametrize(
    ("channel", "in_rows"), [("trades", False), ("liquidations", False), ("liquidations", True), ("options", True)]
)
def test_events_and_rows_of_many_are_written_twice(channel: str, in_rows: bool) -> None:
    """Both connections write: the workers recognise duplicates."""
    sockets = Sockets(channel, False, in_rows)
    sockets.frame("new", 1, SECOND)
    sockets.frame("old", 1, SECOND)
    assert sockets.written == [b"new 1", b"old 1"]


def test_rows_of_others_do_not_delay_a_handover() -> None:
    """A frame that has no rows of ours is written for nobody, but the subscription flows."""
    sockets = Sockets("liquidations", False, in_rows=True)
    sockets.old.acknowledged_at = 1
    sockets.new.last_message_at = SECOND
    assert sockets.handover.advance(sockets.subscriptions, SECOND)


@given(
    st.integers(min_value=0, max_value=9), st.integers(min_value=1, max_value=30), st.integers(min_value=0, max_value=9)
)
def test_chained_updates_are_complete(late: int, joined: int, late_new: int) -> None:
    """Updates every 100 ms, and one socket lags by less than a second: no update is missing or out of place."""
    sockets = Sockets("books", True)
    arrivals = [(number + late, "old", number) for number in range(60)]
    arrivals += [(number + late_new, "new", number) for number in range(joined, 60)]
    for at, which, number in sorted(arrivals):
        sockets.frame(which, number, at * SECOND // 10 + SECOND)
    highest = -1
    for frame in sockets.written:
        number = int(frame.split()[1])
        assert number <= highest + 1
        highest = max(highest, number)
    assert highest == 59
    assert sockets.written[-1].startswith(b"new")


def test_the_old_connection_is_lost() -> None:
    """Held updates are written at once, and no more are held."""
    sockets = Sockets("books", True)
    sockets.frame("new", 1, SECOND)
    assert sockets.written == []
    sockets.handover.finish(sockets.subscriptions)
    sockets.frame("new", 2, SECOND)
    assert sockets.written == [b"new 1", b"new 2"]


def test_the_new_connection_fails() -> None:
    """The old connection writes again."""
    sockets = Sockets("quotes", False)
    sockets.frame("new", 1, SECOND)
    sockets.handover.abort()
    sockets.frame("old", 2, SECOND)
    assert sockets.written == [b"new 1", b"old 2"]


class Pair:
    """Two connections with these subscriptions each; on the old one they are acknowledged and receiving."""

    def __init__(self, *symbols: str) -> None:
        self.routes = [Route("data", symbol, "quotes") for symbol in symbols]
        self.old, self.new = ({route: Subscription(route, discard) for route in self.routes} for _ in range(2))
        self.handover = Handover(self.old, False, discard)
        for subscription in self.new.values():
            self.handover.prepare(subscription)
        for subscription in self.old.values():
            subscription.acknowledged_at = subscription.last_message_at = 1

    def flow(self, *places: int) -> None:
        """Let these subscriptions of the new connection receive a frame."""
        for place in places:
            subscription = self.new[self.routes[place]]
            subscription.acknowledged_at = subscription.last_message_at = SECOND
            subscription.write(SECOND, KEY, b"")

    def reject(self, side: dict[Route, Subscription], place: int) -> None:
        subscription = side[self.routes[place]]
        subscription.acknowledged_at, subscription.rejections = 0, subscription.rejections + 1

    @property
    def complete(self) -> bool:
        return self.handover.advance(self.new, 2 * SECOND)


def test_rejected_on_the_old_connection() -> None:
    """The handover does not wait for what the old connection does not have either."""
    pair = Pair("A", "B")
    pair.reject(pair.old, 1)
    assert not pair.complete
    pair.flow(0)
    assert pair.complete
    pair.reject(pair.new, 1)
    assert pair.complete


def test_rejected_on_the_new_connection() -> None:
    """What the old connection has is requested a second time; then the handover goes on without it."""
    pair = Pair("A", "B", "C")
    pair.flow(0, 1)
    assert not pair.complete
    pair.reject(pair.new, 2)
    assert not pair.complete
    pair.reject(pair.new, 2)
    assert pair.complete


def test_mostly_rejected_on_the_new_connection() -> None:
    """Then the handover does not complete: the old connection is the better one."""
    pair = Pair("A", "B", "C")
    pair.flow(0)
    for place in (1, 2, 1, 2, 1, 2):
        pair.reject(pair.new, place)
        assert not pair.complete


def test_silent_instruments_do_not_block() -> None:
    """A subscription without any frame is waited for during five seconds only."""
    pair = Pair("A", "B")
    pair.flow(0)
    pair.new[pair.routes[1]].acknowledged_at = SECOND
    assert not pair.complete
    assert pair.handover.advance(pair.new, 7 * SECOND)


def test_delisted_during_the_handover() -> None:
    """A delisted instrument is not waited for, and its held frames are dropped."""
    sockets = Sockets("books", True)
    sockets.frame("new", 1, SECOND)
    sockets.handover.forget(sockets.route)
    sockets.subscriptions.clear()
    sockets.handover.advance(sockets.subscriptions, 9 * SECOND)
    sockets.handover.finish(sockets.subscriptions)
    assert sockets.written == []
