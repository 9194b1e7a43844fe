"""One partition of a raw topic: records in, outputs out. All state of its instruments; no I/O, no clock.

The same bytes give the same output: time comes from the lines, never from a clock.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

import orjson

from schemas.errors import FrameError, RawRecordError, SymbolError
from schemas.events import STATUS_TYPES
from schemas.feeds import FEEDS, feed_of
from schemas.instruments import Instrument, assumed_instrument
from schemas.keys import EVERY, UNKNOWN
from schemas.limits import MAX_EVENT
from schemas.markers import check_marker
from schemas.raw import MARKER, RawLine, decode_record, encode_marker, unwrap
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.arbitrage.lines import tick_line
from streams.instrument_processor import InstrumentProcessor
from streams.normalize import parse
from streams.normalize.messages import Ignored
from streams.output import Output
from streams.presence import Presence

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


class RawProcessor:
    """Feeds lines to the instruments' streams. `take_changed`, `dump` and `load` make it a checkpointed state.

    The entry `<exchange>:*:<partition>` is the partition's own, all others are instruments.
    """

    def __init__(self, exchange: str, partition: int, settings: Settings) -> None:
        self.exchange = exchange
        self.partition = partition
        self.streams: dict[str, InstrumentProcessor] = {}
        self.presence = Presence()
        self.offset = -1
        self._own_key = own_key(exchange, partition)
        self._covered = -1  # of the partition's own entry
        self._settings = settings
        self._topic = raw_topic(exchange)
        self._changed: set[str] = set()
        self._gone: set[str] = set()
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

    def skip(self, offset: int, value: bytes, reason: str) -> Output:
        """Set a raw record aside that could not be processed: whole into one dead letter, its instruments anew."""
        out = Output(self._settings.partitions)
        out.begin(f"{self.exchange}:{self.partition}:{offset}", 0)
        lines = _readable_lines(value)
        now = max((line.local_timestamp // 1000 for line in lines), default=0)
        out.dead_letter(self.exchange, UNKNOWN, now, self._topic, reason, value, most=MAX_EVENT)
        for key in dict.fromkeys(line.key for line in lines):
            if stream := self.streams.get(key):
                self._changed.add(key)
                stream.on_skipped(out, now, reason.splitlines()[-1])
        self.offset = offset
        return out

    def _line(self, out: Output, offset: int, line: RawLine) -> None:
        now, key, frame = line.local_timestamp // 1000, line.key, line.frame
        stream = self.streams.get(key) or self._no_stream(out, offset, now, line)
        if stream is None or offset <= stream.covered:
            return  # after a crash: the checkpoint holds it, and its events are published
        self._changed.add(key)
        if frame.startswith(MARKER):
            self._marker(out, now, key, stream, frame)
        else:
            self._frame(out, now, stream, frame)

    def _no_stream(self, out: Output, offset: int, now: int, line: RawLine) -> InstrumentProcessor | None:
        """Handle a line without an instrument; create the stream on an instrument's first line."""
        exchange, _, symbol = line.key.partition(":")
        if symbol == EVERY:
            self._tick(out, offset, now, line.frame)
            return None
        if symbol == UNKNOWN:
            self._unknown(out, now, line.frame)
            return None
        try:
            if exchange != self.exchange:
                raise SymbolError(f"a line of {line.key!r:.100} in {self._topic}")
            # No definition came before it.
            instrument = assumed_instrument(feed_of(exchange, symbol).name, exchange, symbol)
            if not line.frame.startswith(MARKER):
                parse(line.frame, instrument, now)  # what is none of a real instrument's shall not be kept
        except (SymbolError, FrameError) as error:
            out.dead_letter(self.exchange, symbol, now, self._topic, str(error), line.frame)
            return None
        self.streams[line.key] = InstrumentProcessor(instrument, self._settings)
        return self.streams[line.key]

    def _frame(self, out: Output, now: int, stream: InstrumentProcessor, frame: bytes) -> None:
        try:
            stream.on_frame(out, now, frame)
        except FrameError as error:
            out.dead_letter(self.exchange, stream.instrument.symbol, now, self._topic, str(error), frame)

    def _unknown(self, out: Output, now: int, frame: bytes) -> None:
        try:
            if frame.startswith(MARKER):
                marker = orjson.loads(frame)
                kind, frame = marker["marketprism"], unwrap(marker)
                if kind == "oversized":
                    raise FrameError(_described(marker))
            if all(type(event) is Ignored for event in parse(frame, self._nobody, now)):
                return
            reason = "its instrument is unknown"
        except FrameError as error:
            reason = str(error)
        except _MALFORMED as error:
            reason = f"malformed marker: {error!r:.200}"
        out.dead_letter(self.exchange, UNKNOWN, now, self._topic, reason, frame)

    def _marker(self, out: Output, now: int, key: str, stream: InstrumentProcessor, frame: bytes) -> None:
        symbol, kept = stream.instrument.symbol, frame
        try:
            marker = orjson.loads(frame)
            kind = marker["marketprism"]
            if kind in ("frame", "oversized"):
                kept = unwrap(marker)
            if kind == "oversized":
                raise FrameError(_described(marker))
            if kind != "frame":
                self._apply_marker(out, now, stream, kind, marker)
        except FrameError as error:
            out.dead_letter(self.exchange, symbol, now, self._topic, str(error), kept)
        except _MALFORMED as error:
            out.dead_letter(self.exchange, symbol, now, self._topic, f"malformed marker: {error!r:.200}", frame)
        else:
            if kind == "frame":
                self._frame(out, now, stream, kept)
            elif kind == "delisted":
                self._forget(key)

    def _apply_marker(
        self, out: Output, now: int, stream: InstrumentProcessor, kind: str, marker: dict[str, Any]
    ) -> None:
        if kind == "instrument":
            stream.on_instrument(out, now, _defined(stream, marker))
            if seed_levels := int(marker.get("seed_levels", 0)):
                stream.books.orders.cut_seeds_at(seed_levels)
            return
        check_marker(marker)
        if kind == "lost":
            stream.books.on_lost(out, now)
        elif kind == "clock" or kind in STATUS_TYPES:
            stream.on_marker(out, now, kind, marker)
        else:
            raise FrameError(f"unknown marker: {kind!r:.100}")

    def _forget(self, key: str) -> None:
        """A delisted instrument costs nothing more; its checkpoint entry goes with the next checkpoint."""
        del self.streams[key]
        self._gone.add(key)

    # Stream time

    def _tick(self, out: Output, offset: int, now: int, frame: bytes) -> None:
        if offset > self._covered:
            self._changed.add(self._own_key)
            self._note_presence(out, offset, now, frame)
        for key in sorted(self.streams):  # their sources must not depend on the order in which a checkpoint came back
            stream = self.streams[key]
            if offset > stream.covered:
                self._changed.add(key)
                stream.on_tick(out, now)
        out.join_all(tick_line(self.exchange, self.partition, now))

    def _note_presence(self, out: Output, offset: int, now: int, frame: bytes) -> None:
        served = self._served(frame)
        feeds = [name for name in FEEDS if FEEDS[name].exchange == self.exchange] if served is None else served
        gone, returned, step = self.presence.on_tick(feeds, now, served is not None)
        for stream in self._streams_of(served or (), offset):
            stream.books.orders.is_served = True
        for stream in self._streams_of(gone, offset):
            stream.books.orders.is_served = False
            stream.on_absent(out, now, self.presence.age(stream.instrument.feed, now))
        for stream in self._streams_of(returned, offset):
            stream.on_returned(out, now)
        if step:
            for stream in self._streams_of(feeds, offset):
                stream.clock_stepped(out, now, step)

    def _served(self, frame: bytes) -> list[str] | None:
        """The feeds that a tick's writer serves; None for a replay's, whose ticks are for all."""
        feeds: Any = None
        with suppress(ValueError, AttributeError):
            feeds = orjson.loads(frame).get("feeds")
        return feeds if type(feeds) is list else None

    def _streams_of(self, feeds: Collection[str], offset: int) -> Iterator[InstrumentProcessor]:
        for key in sorted(self.streams) if feeds else ():
            if self.streams[key].instrument.feed in feeds and offset > self.streams[key].covered:
                yield self.streams[key]

    def witness(self, silence: float) -> bytes | None:
        """The tick that tells of `silence` s without a line, where an ingest should send some.

        By ingest's clock: the worker's may be another one.
        """
        feeds = {stream.instrument.feed for stream in self.streams.values() if stream.status.up}
        if not self.presence.is_anybody_expected(feeds):
            return None
        at = self.presence.now + int(silence * 1_000_000)
        return encode_marker(at * 1000, f"{self.exchange}:{EVERY}", "tick", feeds=[])

    # Checkpoint

    def take_changed(self) -> list[str]:
        """The entries that something reached since the last call."""
        changed, self._changed = self._changed & {*self.streams, self._own_key}, set()
        return sorted(changed)

    def take_gone(self) -> list[str]:
        """The entries that are to be deleted."""
        gone, self._gone = self._gone - set(self.streams), set()
        return sorted(gone)

    def dump(self, key: str) -> bytes:
        """One entry as of the last record."""
        if key == self._own_key:
            self._covered = self.offset
            return orjson.dumps({"covered": self._covered, "presence": self.presence.dump()})
        self.streams[key].covered = self.offset
        return self.streams[key].dump()

    def load(self, key: str, dump: bytes) -> None:
        """Take one entry back."""
        if key == self._own_key:
            state = orjson.loads(dump)
            self._covered = state["covered"]
            self.presence.load(state["presence"])
        else:
            self.streams[key] = InstrumentProcessor.load(dump, self._settings)


def own_key(exchange: str, partition: int) -> str:
    """The key of what a partition knows itself."""
    return f"{exchange}:{EVERY}:{partition}"


def _defined(stream: InstrumentProcessor, marker: dict[str, Any]) -> Instrument:
    instrument = Instrument(**marker)
    if instrument.key != stream.instrument.key or instrument.feed != stream.instrument.feed:
        raise FrameError(f"definition of {instrument.feed} {instrument.key} received as {stream.instrument.key}")
    return instrument


def _readable_lines(value: bytes) -> list[RawLine]:
    lines = []
    with suppress(RawRecordError):
        for line in decode_record(value):
            lines.append(line)
    return lines


def _described(marker: dict[str, Any]) -> str:
    return f"oversized: {marker['bytes']} bytes, sha256 {marker['sha256']}; the first KiB is kept"
