"""Generate the lines of a replay: those of the sources, and the markers that a live ingest would have added."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from schemas.errors import SymbolError
from schemas.instruments import Instrument, instrument_of_key
from schemas.keys import EVERY, UNKNOWN, input_partition_of, key_of, split_key
from schemas.markers import MARKER, Connected, Definition, Subscribed, Tick
from schemas.raw import RawLine, encode_line, encode_marker

_SECOND = 1_000_000_000
_MAX_HOLE = 120  # s; a longer hole between two lines is not filled with a tick every second
_SETTLE = 11  # s; ticks for this long resolve everything that waits in the workers
_WRAPPED = (MARKER + b"frame", MARKER + b"oversized")

TopicLine = tuple[str, int, int, bytes]  # exchange, partition, receipt ns, line


class LineSource(Protocol):
    """What must be known of a source of lines before they are read: its exchanges, and definitions by key."""

    @property
    def exchanges(self) -> Sequence[str]: ...
    @property
    def definitions(self) -> Mapping[str, Instrument]: ...


def is_frame(line: bytes, start: int = 0) -> bool:
    """Return whether a line holds a frame, as it is or within a marker. `start`: where its third field begins."""
    return not line.startswith(MARKER, start) or line.startswith(_WRAPPED, start)


class ReplayLines:
    """Generator of the lines to write: call `of(line)` for each line by receipt time, then `end()`."""

    def __init__(self, sources: Sequence[LineSource], partitions: int) -> None:
        self.exchanges = sorted({name for source in sources for name in source.exchanges})
        self.frames = 0
        self._partitions = partitions
        self._definitions = {key: known for source in reversed(sources) for key, known in source.definitions.items()}
        self._places: dict[str, tuple[str, int]] = {}  # of the instruments that have started
        self._first = self._last = 0
        self._second = 0

    @property
    def span(self) -> float:
        """Recorded time so far, s."""
        return (self._last - self._first) / _SECOND

    def of(self, line: RawLine) -> Iterator[TopicLine]:
        """Yield the ticks and markers due before a line, and the line."""
        stamp, key, frame = line.local_timestamp, line.key, line.frame
        if stamp // _SECOND > self._second:
            self._first = self._first or stamp
            yield from self._ticks_until(stamp // _SECOND)
        self._last = max(self._last, stamp)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = split_key(key)[0], input_partition_of(key, self._partitions)
            if place[0] not in self.exchanges:  # not found at the beginning of its capture
                self.exchanges.append(place[0])
            yield from self._begin(stamp, key, frame, place)
        self.frames += is_frame(frame)
        if frame.startswith(MARKER):
            yield *place, stamp, b"%d\t%s\t%s\n" % (stamp, key.encode(), frame)
        else:
            yield *place, stamp, encode_line(stamp, key, frame)

    def end(self) -> Iterator[TopicLine]:
        """Yield a last tick, late enough to resolve everything that waits in the workers."""
        if self._first:
            yield from self._tick(self._last + _SETTLE * _SECOND)

    def _ticks_until(self, second: int) -> Iterator[TopicLine]:
        if not self._second:
            self._second = second - 1
        missed = second - self._second
        until = second if missed <= _MAX_HOLE else self._second + _SETTLE
        for tick in range(self._second + 1, until):
            yield from self._tick(tick * _SECOND)
        yield from self._tick(second * _SECOND)
        self._second = second

    def _tick(self, stamp: int) -> Iterator[TopicLine]:
        for exchange in self.exchanges:
            line = encode_marker(stamp, key_of(exchange, EVERY), Tick())
            for partition in range(self._partitions):
                yield exchange, partition, stamp, line

    def _begin(self, stamp: int, key: str, frame: bytes, place: tuple[str, int]) -> Iterator[TopicLine]:
        """Yield the definition before an instrument's first line, and its connection if that line is a frame."""
        if key.endswith(f":{UNKNOWN}") or frame.startswith(MARKER + b"instrument"):
            return
        if instrument := self._definitions.get(key) or _assumed(key):
            yield *place, stamp, encode_marker(stamp, key, Definition(instrument))
        if not frame.startswith(MARKER):
            yield *place, stamp, encode_marker(stamp, key, Connected())
            yield *place, stamp, encode_marker(stamp, key, Subscribed())


def _assumed(key: str) -> Instrument | None:
    try:
        return instrument_of_key(key)
    except SymbolError:
        return None
