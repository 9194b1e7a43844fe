"""What the raw topic gets of two connections while one takes over from the other."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.exchanges.base import Route
from ingest.handover import Handover
from ingest.subscription import Subscription, discard

SECOND = 10**9
KEY = "okx:BTC-USDT"


class Sockets:
    """Two connections with one stream each, and what was written of them."""

    def __init__(self, channel: str, chained: bool) -> None:
        self.written: list[bytes] = []
        self.route = Route("data", "BTC-USDT", channel)
        self.old, self.new = Subscription(KEY, self.route, self.write), Subscription(KEY, self.route, self.write)
        self.streams = {self.route: self.new}
        self.handover = Handover({self.route: self.old}, chained, self.write)
        self.handover.prepare(self.new)
        self.new.acknowledged_at = 1

    def write(self, stamp: int, key: str, frame: bytes) -> None:
        self.written.append(frame)

    def frame(self, which: str, number: int, now: int) -> None:
        stream = self.old if which == "old" else self.new
        stream.write(now, KEY, b"%s %d" % (which.encode(), number))
        stream.last_message_at = now
        self.handover.complete(self.streams, now)


def test_quotes_and_snapshots_change_at_once() -> None:
    """The new connection's first frame silences the old one."""
    for channel, chained in (("quotes", True), ("quotes", False), ("books", False)):
        sockets = Sockets(channel, chained)
        for which, number in (("old", 1), ("old", 2), ("new", 2), ("old", 3), ("new", 3)):
            sockets.frame(which, number, number * SECOND)
        assert sockets.written == [b"old 1", b"old 2", b"new 2", b"new 3"]


def test_trades_are_written_twice() -> None:
    """Both write: ids tell what came twice."""
    sockets = Sockets("trades", False)
    sockets.frame("new", 1, SECOND)
    sockets.frame("old", 1, SECOND)
    assert sockets.written == [b"new 1", b"old 1"]


@given(
    st.integers(min_value=0, max_value=9), st.integers(min_value=1, max_value=30), st.integers(min_value=0, max_value=9)
)
def test_a_chain_is_never_interrupted(late: int, joined: int, late_new: int) -> None:
    """Updates each 100 ms, one socket later than the other by less than a second: none is missing in its place."""
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


def test_the_old_connection_is_lost_meanwhile() -> None:
    """What was held back follows at once, and nothing is held back any more."""
    sockets = Sockets("books", True)
    sockets.frame("new", 1, SECOND)
    assert sockets.written == []
    sockets.handover.finish(sockets.streams)
    sockets.frame("new", 2, SECOND)
    assert sockets.written == [b"new 1", b"new 2"]


def test_the_new_connection_fails() -> None:
    """The old one writes again."""
    sockets = Sockets("quotes", False)
    sockets.frame("new", 1, SECOND)
    sockets.handover.undo()
    sockets.frame("old", 2, SECOND)
    assert sockets.written == [b"new 1", b"old 2"]


class Pair:
    """Two connections with these streams each, acknowledged and heard on the old one."""

    def __init__(self, *symbols: str) -> None:
        self.routes = [Route("data", symbol, "quotes") for symbol in symbols]
        self.old, self.new = ({route: Subscription(KEY, route, discard) for route in self.routes} for _ in range(2))
        self.handover = Handover(self.old, False, discard)
        for stream in self.new.values():
            self.handover.prepare(stream)
        for stream in self.old.values():
            stream.acknowledged_at = stream.last_message_at = 1

    def flows(self, *places: int) -> None:
        for place in places:
            stream = self.new[self.routes[place]]
            stream.acknowledged_at = stream.last_message_at = SECOND
            stream.write(SECOND, KEY, b"")

    def refuse(self, side: dict[Route, Subscription], place: int) -> None:
        stream = side[self.routes[place]]
        stream.acknowledged_at, stream.refusals = 0, stream.refusals + 1

    @property
    def complete(self) -> bool:
        return self.handover.complete(self.new, 2 * SECOND)


def test_refused_on_the_old_connection() -> None:
    """What the exchange did not give to the old one, the new one does not wait for, whatever it says now."""
    pair = Pair("A", "B")
    pair.refuse(pair.old, 1)
    assert not pair.complete
    pair.flows(0)
    assert pair.complete
    pair.refuse(pair.new, 1)
    assert pair.complete


def test_refused_on_the_new_connection() -> None:
    """What the old one has is asked for a second time; then the rest is moved without it."""
    pair = Pair("A", "B", "C")
    pair.flows(0, 1)
    assert not pair.complete
    pair.refuse(pair.new, 2)
    assert not pair.complete
    pair.refuse(pair.new, 2)
    assert pair.complete


def test_most_is_refused_on_the_new_connection() -> None:
    """Then the old one is the better one."""
    pair = Pair("A", "B", "C")
    pair.flows(0)
    for place in (1, 2, 1, 2, 1, 2):
        pair.refuse(pair.new, place)
        assert not pair.complete


def test_silent_instruments_do_not_block() -> None:
    """A stream that never sends has had its time after five seconds."""
    pair = Pair("A", "B")
    pair.flows(0)
    pair.new[pair.routes[1]].acknowledged_at = SECOND
    assert not pair.complete
    assert pair.handover.complete(pair.new, 7 * SECOND)


def test_gone_meanwhile() -> None:
    """An instrument that is delisted during the move is not waited for, and what was held of it is dropped."""
    sockets = Sockets("books", True)
    sockets.frame("new", 1, SECOND)
    sockets.handover.forget(sockets.route)
    sockets.streams.clear()
    sockets.handover.complete(sockets.streams, 9 * SECOND)
    sockets.handover.finish(sockets.streams)
    assert sockets.written == []
