"""Single messages that did harm in hostile runs do not stop a partition, and leave nothing behind."""

from collections.abc import Callable

import pytest

from schemas.events import EVENTS
from schemas.instruments import Instrument
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import MS, binance, deribit, line, marker, okx, tick

_FAR = 99_999_999_999_999_999  # µs: in the year 5138
_BEYOND = 1 << 64  # larger than any id
_UPDATES = 150  # book updates that follow a hostile message, one every 0.1 s


class Feed:
    """Partition of one instrument with a live book. `update(n)` is its n-th change, `whole(n)` the book after it."""

    def __init__(self, instrument: Instrument, whole: Callable[[int], bytes], update: Callable[[int], bytes]) -> None:
        self.partition = RawProcessor(instrument.exchange, 0, load_settings(partitions=1))
        self.instrument = instrument
        self.whole = whole
        self.update = update
        self._offset = 0
        self._millis = 0.0
        self.take(marker(instrument.key, "instrument", **instrument.model_dump()))
        self.send(whole(0))

    def send(self, frame: bytes) -> list[tuple[str, bytes]]:
        return self.take(line(self.instrument.key, frame, self._millis))

    def take(self, value: bytes) -> list[tuple[str, bytes]]:
        """Process a record. Return its events, each checked against its model, and its lines for the join."""
        self._offset += 1
        self._millis += 100
        out = self.partition.process(self._offset, value + tick(self.instrument.exchange, self._millis))
        for topic, _, body in out.records:
            if topic in EVENTS:
                EVENTS[topic].model_validate_json(body)
        joined = [("join", each) for lines in out.joins.values() for each in lines if each.startswith(b"live\t")]
        return [(topic, body) for topic, _, body in out.records] + joined

    def checkpoint(self) -> None:
        self.partition.load(self.instrument.key, self.partition.dump(self.instrument.key))


def _later(frame: bytes, stamp: int, n: int) -> bytes:
    """Return the frame with its time `stamp`, in ms, moved by `n` tenths of a second."""
    return frame.replace(b"%d" % stamp, b"%d" % (stamp + 100 * n))


def _bid(n: int) -> list[list[str]]:
    return [[str(100 + n), "1"]]


_ASK = [["900", "1"]]
_SIDE = '[["new",{}.0,10.0]]'

FEEDS: dict[str, Callable[[], Feed]] = {
    "spot": lambda: Feed(
        binance.SPOT, lambda n: binance.snapshot(10 + n, _bid(n), _ASK),
        lambda n: _later(binance.depth(10 + n, 10 + n, _bid(n), []), 1_790_000_000_200, n),
    ),
    "usdm": lambda: Feed(
        binance.USDM, lambda n: binance.snapshot(10 + n, _bid(n), _ASK),
        lambda n: _later(binance.usdm_depth(9 + n, 10 + n, 9 + n, _bid(n), []), 1_790_000_000_148, n),
    ),
    "okx": lambda: _okx(okx.SPOT),
    "okx inverse": lambda: _okx(okx.INVERSE),
    "deribit": lambda: Feed(
        deribit.PERPETUAL, lambda n: deribit.book(10 + n, _SIDE.format(100 + n), _SIDE.format(900)),
        lambda n: deribit.book(10 + n, _SIDE.format(100 + n), previous=9 + n, ms=MS + 100 * n),
    ),
}  # fmt: skip


def _okx(instrument: Instrument) -> Feed:
    def book(previous: int, n: int, asks: list[list[str]], action: str) -> bytes:
        return _later(okx.book(previous, 10 + n, _bid(n), asks, action, instrument), 1_790_000_000_100, n)

    return Feed(instrument, lambda n: book(-1, n, _ASK, "snapshot"), lambda n: book(9 + n, n, [], "update"))


def _defined(instrument: Instrument, **changes: object) -> bytes:
    """Return an instrument's definition with some fields changed."""
    return marker(instrument.key, "instrument", **instrument.model_dump() | changes)


FRAMES = [
    ("deribit", "BBO of the year 5138", deribit.quote("100.0", "10.0", "900.0", "10.0", ms=_FAR)),
    ("deribit", "BBO with a price of 1e-40", deribit.quote("86762.5", "77650.0", "1e-40", "62540.0")),
    ("deribit", "book of the year 5138", deribit.book(11, '[["new",100.5,10.0]]', previous=10, ms=_FAR)),
    ("okx inverse", "BBO with a price of 1e-40", okx.bbo(11, "1e-40", "469", "900", "1", okx.INVERSE)),
    ("okx inverse", "book with a price of 1e-40", okx.book(10, 11, [["1e-40", "1e17"]], [], instrument=okx.INVERSE)),
    ("okx", "BBO with an id of 63 bits", okx.bbo((1 << 63) - 1, "100", "1", "900", "1")),
    ("okx", "book with an id of 64 bits", okx.book(10, 1 << 63, [["100", "2"]], [])),
    ("okx", "book that follows an id of 64 bits", okx.book(1 << 63, 12, [["100", "2"]], [])),
    ("okx", "book with a negative id", okx.book(10, -5, [["100", "2"]], [])),
    ("spot", "BBO with an id of 63 bits", binance.quote((1 << 63) - 1, "100", "1", "900", "1")),
    ("spot", "trade of the year 5138", binance.trade(T=_FAR)),
    ("spot", "trade with an id of 63 bits", binance.trade(t=(1 << 63) - 1)),
    ("usdm", "book that follows an id of 65 bits",
     binance.usdm_depth(12, 13, -7, [], []).replace(b"-7", b"%d" % _BEYOND)),
    ("usdm", "book that follows a negative id", binance.usdm_depth(12, 13, -(1 << 63), [], [])),
]  # fmt: skip


@pytest.mark.parametrize(("feed", "what", "frame"), FRAMES, ids=[f"{feed}: {what}" for feed, what, _ in FRAMES])
def test_frame(feed: str, what: str, frame: bytes) -> None:
    """It gives an event or a dead letter; the state can be saved; the next snapshot and updates reach the join."""
    tested = FEEDS[feed]()
    caused = tested.send(frame)
    assert any(topic != "join" for topic, _ in caused)
    assert sum(topic == "dead_letters" for topic, _ in caused) <= 1
    tested.checkpoint()
    reached = 0
    for number in range(1, _UPDATES):
        topics = [topic for topic, _ in tested.send(tested.update(number))]
        reached += number >= _UPDATES - 20 and "join" in topics
        if "control.ingest" in topics:
            tested.send(tested.whole(number))
    assert reached == 20


@pytest.mark.parametrize(
    "changes",
    [{"exchange_symbol": [{}]}, {"settle": 17}, {"contract_size": "text"}, {"contract_size": "1e400"}, {"kind": "?"}],
)
def test_definition(changes: dict[str, object]) -> None:
    """A malformed definition does not change the instrument, and frames still give events or dead letters."""
    tested = FEEDS["okx inverse"]()
    tested.take(_defined(okx.INVERSE, **changes))
    caused = tested.send(okx.bbo(11, "100", "469", "900", "1", okx.INVERSE))
    assert caused
    tested.checkpoint()


def test_unknown_names_leave_no_state() -> None:
    """Frames of names that nobody lists are dead letters, and leave no state behind."""
    tested = FEEDS["okx"]()
    for number in range(50):
        key = f"okx:BT{number}-USDT"
        caused = tested.take(line(key, okx.bbo(11, "100", "1", "900", "1")))
        assert [topic for topic, _ in caused if topic != "join"] == ["dead_letters"]
    assert set(tested.partition.entries) == {okx.SPOT.key}
