"""Buffer for the broker: the order is kept, every loss has a marker, and the size stays bounded."""

from collections import Counter

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ingest.raw_buffer import RawBuffer, Record, Slot
from schemas.limits import MAX_RECORD
from schemas.markers import MARKER, Connected, Tick
from schemas.raw import RawLine, decode_record

KEYS = ("binance:BTC-USDT", "binance:ETH-USDT", "binance:BTC-USDT-PERP")
LIMIT = 2_000


class Run:
    """Driver of a buffer with two slots, in place of feeds and a broker."""

    def __init__(self) -> None:
        self.buffer = RawBuffer(LIMIT)
        self.slots = [Slot("raw.binance", 0), Slot("raw.binance", 1)]
        self.sent: list[RawLine] = []
        self.in_flight: list[Record] = []
        self.stamp = 0
        self.max_size = 0
        self.dropped_markers = Counter[str]()  # by key

    def slot(self, key: str) -> Slot:
        return self.slots[KEYS.index(key) % 2]

    def act(self, action: str, key: str, size: int) -> None:
        self.stamp += 1_000_000
        if action == "frame":
            self.buffer.add_frame(self.slot(key), self.stamp, key, b"%d" % self.stamp + b"x" * size)
            self.max_size = max(self.max_size, self.buffer.size)
        elif action == "marker":
            self.dropped_markers[key] += not self.buffer.add_marker(self.slot(key), self.stamp, key, Connected())
        elif action == "take":
            self.take(self.slot(key))
        elif self.in_flight:
            self.buffer.release(self.in_flight.pop(0))

    def take(self, slot: Slot) -> None:
        if record := self.buffer.take(slot):
            assert record.timestamp_ms == int(record.value.split(b"\t")[0]) // 1_000_000
            self.in_flight.append(record)
            self.sent += decode_record(record.value)

    def end(self) -> None:
        while self.in_flight or any(slot.lines for slot in self.slots):
            for slot in self.slots:
                self.take(slot)
            while self.in_flight:
                self.buffer.release(self.in_flight.pop(0))


ACTIONS = st.tuples(
    st.sampled_from(("frame", "frame", "frame", "marker", "take", "release")),
    st.sampled_from(KEYS),
    st.integers(0, 300),
)


@given(st.lists(ACTIONS, max_size=200))
def test_order_and_loss(actions: list[tuple[str, str, int]]) -> None:
    """Each instrument's lines keep their order, and its frames plus those marked as lost are all that were added.

    A marker beyond the second bound is dropped, and counts as a lost frame.
    """
    run = Run()
    for action in actions:
        run.act(*action)
    run.end()
    assert run.buffer.size == 0
    assert run.max_size <= LIMIT + 200 * 100  # frames stay within the limit; markers may exceed it
    for key in KEYS:
        lines = [line for line in run.sent if line.key == key]
        assert [line.local_timestamp for line in lines] == sorted(line.local_timestamp for line in lines)
        given_frames = sum(action == "frame" and name == key for action, name, _ in actions)
        markers = [orjson.loads(line.frame) for line in lines if line.frame.startswith(MARKER)]
        lost = sum(marker["frames"] for marker in markers if marker["marketprism"] == "lost")
        assert len(lines) - len(markers) + lost == given_frames + run.dropped_markers[key]
        kinds = Counter(marker["marketprism"] for marker in markers)
        given_markers = sum(action == "marker" and name == key for action, name, _ in actions)
        assert kinds["connected"] == given_markers - run.dropped_markers[key]


def test_losses_are_marked_in_place() -> None:
    """A loss's marker is between the last frame before the loss and the first line after it."""
    run, key = Run(), KEYS[0]
    sizes = [500, 500, 500, 500, 500]
    for size in sizes:
        run.act("frame", key, size)
    run.act("marker", key, 0)
    run.end()
    run.act("frame", key, 1)
    run.end()
    kinds = [line.frame[16:21] if line.frame.startswith(MARKER) else b"frame" for line in run.sent]
    assert kinds == [b"frame", b"frame", b"frame", b'lost"', b"conne", b"frame"]
    assert orjson.loads(run.sent[3].frame)["frames"] == 2


def test_markers_are_dropped_beyond_a_second_bound() -> None:
    """Every reconnect adds some, and an outage of days must not fill the memory."""
    run, key = Run(), KEYS[0]
    for _ in range(5):
        run.act("frame", key, 500)
    for _ in range(100):
        run.act("marker", key, 0)
    assert 0 < run.dropped_markers[key] < 100
    assert run.buffer.size <= LIMIT * 1.25 + 300
    run.end()
    assert sum(b'"connected"' in line.frame for line in run.sent) == 100 - run.dropped_markers[key]


def test_ticks_are_dropped() -> None:
    """While frames are dropped, ticks are too: an outage of days must not fill the memory."""
    run = Run()
    for _ in range(5):
        run.act("frame", KEYS[0], 500)
    assert not run.buffer.add_marker(run.slots[0], 1, "binance:*", Tick())


def test_record_size() -> None:
    """A record ends before it grows too large for the broker; a line of the maximum size gets its own."""
    buffer, slot = RawBuffer(64 << 20), Slot("raw.binance", 0)
    for size in (400_000, 400_000, 400_000, 900_000, 10):
        buffer.add_frame(slot, 1, KEYS[0], b"x" * size)
    records = []
    while record := buffer.take(slot):
        records.append([len(line.frame) for line in decode_record(record.value)])
        assert len(record.value) <= MAX_RECORD + 100
    assert records == [[400_000, 400_000], [400_000], [900_000], [10]]
