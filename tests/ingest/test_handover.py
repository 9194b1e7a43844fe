"""What the raw topic gets of two connections while one takes over from the other."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.exchanges.base import Route
from ingest.handover import Handover
from ingest.stream import Stream

SECOND = 10**9
KEY = "okx:BTC-USDT"


class Sockets:
    """Two connections with one stream each, and what was written of them."""

    def __init__(self, channel: str, chained: bool) -> None:
        self.written: list[bytes] = []
        self.route = Route("data", "BTC-USDT", channel)
        self.old, self.new = Stream(KEY, self.route, self.write), Stream(KEY, self.route, self.write)
        self.streams = {self.route: self.new}
        self.handover = Handover({self.route: self.old}, chained, self.write)
        self.handover.prepare(self.new)
        self.new.acknowledged_at = 1

    def write(self, stamp: int, key: str, frame: bytes) -> None:
        self.written.append(frame)

    def frame(self, which: str, number: int, now: int) -> None:
        stream = self.old if which == "old" else self.new
        stream.write(now, KEY, b"%s %d" % (which.encode(), number))
        stream.heard_at = now
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
