"""One partition of a raw topic: records in, outputs out. All state of its instruments; no I/O, no clock.

The same bytes give the same output: time comes from the lines, never from a clock.
"""

from typing import Any

import orjson

from schemas.errors import FrameError, RawRecordError, SymbolError
from schemas.feeds import feed_of
from schemas.instruments import Instrument, assumed_instrument
from schemas.raw import EVERY, MARKER, UNKNOWN, RawLine, decode_record, unwrap
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.instrument_stream import InstrumentStream
from streams.normalize import parse
from streams.normalize.events import Ignored
from streams.output import Output


class RawPartition:
    """Feeds lines to the instruments' streams. `take_changed`, `dump` and `load` make it a checkpointed state."""

    def __init__(self, exchange: str, partition: int, settings: Settings) -> None:
        self.exchange = exchange
        self.partition = partition
        self.streams: dict[str, InstrumentStream] = {}
        self.offset = -1
        self._settings = settings
        self._topic = raw_topic(exchange)
        self._changed: set[str] = set()
        # Stands in for the instrument of frames that ingest could not tell one for.
        self._nobody = Instrument(
            exchange=exchange, feed="", symbol=UNKNOWN, exchange_symbol="", kind="spot", base="", quote=""
        )

    def process(self, offset: int, value: bytes) -> Output:
        """One raw record."""
        out = Output(self._settings.partitions)
        origin = f"{self.exchange}:{self.partition}:{offset}"
        number = 0
        try:
            for number, line in enumerate(decode_record(value)):
                out.begin(origin, number)
                self._line(out, offset, line)
        except RawRecordError as error:
            out.begin(origin, number + 1)
            out.dead_letter(self.exchange, UNKNOWN, 0, self._topic, str(error), value)
        self.offset = offset
        return out

    def _line(self, out: Output, offset: int, line: RawLine) -> None:
        now, key, frame = line.local_timestamp // 1000, line.key, line.frame
        stream = self.streams.get(key) or self._no_stream(out, offset, now, line)
        if stream is None or offset <= stream.covered:
            return  # after a crash: the checkpoint holds it, and its events are published
        self._changed.add(key)
        if frame.startswith(MARKER):
            self._marker(out, now, stream, frame)
        else:
            self._frame(out, now, stream, frame)

    def _no_stream(self, out: Output, offset: int, now: int, line: RawLine) -> InstrumentStream | None:
        """What is of no instrument is done; for the first line of one its stream is made."""
        symbol = line.key.partition(":")[2]
        if symbol == EVERY:
            self._tick(out, offset, now)
            return None
        if symbol == UNKNOWN:
            self._unknown(out, now, line.frame)
            return None
        try:
            # No definition came before it.
            instrument = assumed_instrument(feed_of(self.exchange, symbol).name, self.exchange, symbol)
        except SymbolError as error:
            out.dead_letter(self.exchange, symbol, now, self._topic, str(error), line.frame)
            return None
        self.streams[line.key] = InstrumentStream(instrument, self._settings)
        return self.streams[line.key]

    def _frame(self, out: Output, now: int, stream: InstrumentStream, frame: bytes) -> None:
        try:
            stream.on_frame(out, now, frame)
        except FrameError as error:
            out.dead_letter(self.exchange, stream.instrument.symbol, now, self._topic, str(error), frame)

    def _unknown(self, out: Output, now: int, frame: bytes) -> None:
        if frame.startswith(MARKER):
            marker = orjson.loads(frame)
            frame = unwrap(marker)
            if marker["marketprism"] == "oversized":
                out.dead_letter(self.exchange, UNKNOWN, now, self._topic, _described(marker), frame)
                return
        try:
            if all(type(event) is Ignored for event in parse(frame, self._nobody, now)):
                return
            reason = "its instrument cannot be told"
        except FrameError as error:
            reason = str(error)
        out.dead_letter(self.exchange, UNKNOWN, now, self._topic, reason, frame)

    def _marker(self, out: Output, now: int, stream: InstrumentStream, frame: bytes) -> None:
        marker = orjson.loads(frame)
        kind = marker["marketprism"]
        if kind == "instrument":
            stream.on_instrument(Instrument(**marker))
        elif kind == "lost":
            stream.on_lost(out, now)
        elif kind == "frame":
            self._frame(out, now, stream, unwrap(marker))
        elif kind == "oversized":
            out.dead_letter(
                self.exchange, stream.instrument.symbol, now, self._topic, _described(marker), unwrap(marker)
            )
        else:
            stream.on_marker(out, now, kind, marker)

    def _tick(self, out: Output, offset: int, now: int) -> None:
        for key in sorted(self.streams):  # their sources must not depend on the order in which a checkpoint came back
            stream = self.streams[key]
            if offset > stream.covered:
                self._changed.add(key)
                stream.on_tick(out, now)
        out.join_all(b"tick\t%s\t%d\t%d" % (self.exchange.encode(), self.partition, now))

    # Checkpoint

    def take_changed(self) -> list[str]:
        """The instruments that something reached since the last call."""
        changed, self._changed = self._changed, set()
        return sorted(changed)

    def dump(self, key: str) -> bytes:
        """One instrument's checkpoint entry as of the last record."""
        self.streams[key].covered = self.offset
        return self.streams[key].dump()

    def load(self, key: str, dump: bytes) -> None:
        """Take one instrument's checkpoint entry back."""
        self.streams[key] = InstrumentStream.load(dump, self._settings)


def _described(marker: dict[str, Any]) -> str:
    return f"oversized: {marker['bytes']} bytes, sha256 {marker['sha256']}; the first KiB is kept"
