"""The way to the broker: order kept, nothing lost without a marker, the bound held."""

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
    """Drives a buffer with two slots, as feeds and a broker would."""

    def __init__(self) -> None:
        self.buffer = RawBuffer(LIMIT)
        self.slots = [Slot("raw.binance", 0), Slot("raw.binance", 1)]
        self.sent: list[RawLine] = []
        self.flying: list[Record] = []
        self.stamp = 0
        self.most = 0

    def slot(self, key: str) -> Slot:
        return self.slots[KEYS.index(key) % 2]

    def act(self, action: str, key: str, size: int) -> None:
        self.stamp += 1_000_000
        if action == "frame":
            self.buffer.add_frame(self.slot(key), self.stamp, key, b"%d" % self.stamp + b"x" * size)
            self.most = max(self.most, self.buffer.size)
        elif action == "marker":
            self.buffer.add_marker(self.slot(key), self.stamp, key, Connected())
        elif action == "take":
            self.take(self.slot(key))
        elif self.flying:
            self.buffer.settle(self.flying.pop(0))

    def take(self, slot: Slot) -> None:
        if record := self.buffer.take(slot):
            assert record.timestamp_ms == int(record.value.split(b"\t")[0]) // 1_000_000
            self.flying.append(record)
            self.sent += decode_record(record.value)

    def end(self) -> None:
        while self.flying or any(slot.lines for slot in self.slots):
            for slot in self.slots:
                self.take(slot)
            while self.flying:
                self.buffer.settle(self.flying.pop(0))


ACTIONS = st.tuples(
    st.sampled_from(("frame", "frame", "frame", "marker", "take", "settle")),
    st.sampled_from(KEYS),
    st.integers(0, 300),
)


@given(st.lists(ACTIONS, max_size=200))
def test_order_and_loss(actions: list[tuple[str, str, int]]) -> None:
    """Each instrument's lines come in the order given, and frames plus those told as lost are all there were."""
    run = Run()
    for action in actions:
        run.act(*action)
    run.end()
    assert run.buffer.size == 0
    assert run.most <= LIMIT + 200 * 100  # frames keep within the bound; markers come on top
    for key in KEYS:
        lines = [line for line in run.sent if line.key == key]
        assert [line.local_timestamp for line in lines] == sorted(line.local_timestamp for line in lines)
        given_frames = sum(action == "frame" and name == key for action, name, _ in actions)
        markers = [orjson.loads(line.frame) for line in lines if line.frame.startswith(MARKER)]
        lost = sum(marker["frames"] for marker in markers if marker["marketprism"] == "lost")
        assert len(lines) - len(markers) + lost == given_frames
        kinds = Counter(marker["marketprism"] for marker in markers)
        assert kinds["connected"] == sum(action == "marker" and name == key for action, name, _ in actions)


def test_loss_stands_in_its_place() -> None:
    """The marker of a loss comes after the last frame before it and before the first line after it."""
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


def test_ticks_give_way() -> None:
    """While frames are dropped, ticks are too: an outage of days must not fill memory."""
    run = Run()
    for _ in range(5):
        run.act("frame", KEYS[0], 500)
    assert not run.buffer.add_marker(run.slots[0], 1, "binance:*", Tick())


def test_records_keep_within_what_a_broker_takes() -> None:
    """A record ends before it grows too large; a line of the largest size stands alone."""
    buffer, slot = RawBuffer(64 << 20), Slot("raw.binance", 0)
    for size in (400_000, 400_000, 400_000, 900_000, 10):
        buffer.add_frame(slot, 1, KEYS[0], b"x" * size)
    records = []
    while record := buffer.take(slot):
        records.append([len(line.frame) for line in decode_record(record.value)])
        assert len(record.value) <= MAX_RECORD + 100
    assert records == [[400_000, 400_000], [400_000], [900_000], [10]]
