"""Process one partition of a raw topic: records in, outputs out. Does no I/O and never reads the clock.

The same bytes always give the same output, because time comes from the lines.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from schemas.errors import FrameError, RawRecordError, SymbolError
from schemas.feeds import FEEDS
from schemas.instruments import Instrument, instrument_of_key
from schemas.keys import EVERY, UNKNOWN, input_partition_of, key_of, split_key
from schemas.limits import MAX_EVENT
from schemas.markers import (
    MARKER,
    Answer,
    Definition,
    Delisted,
    History,
    Markers,
    Oversized,
    Tick,
    Wrapped,
    decode_text,
)
from schemas.raw import RawLine, decode_record, encode_marker, unwrap
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.arbitrage.lines import tick_line
from streams.history import publish_history
from streams.instrument_processor import InstrumentProcessor
from streams.normalize import parse
from streams.normalize.messages import Ignored
from streams.output import Output
from streams.presence import Presence
from streams.state import KeyedState
from streams.trade_candles.delisted import Delisted as DelistedCandles

_HISTORY = MARKER + b'history"'


class RawProcessor(KeyedState[InstrumentProcessor]):
    """Passes lines to the processors of their instruments, which are its entries.

    Its own entry, `<exchange>:*:<partition>`, holds which feeds are ingested, and which candles are closed of delisted
    instruments.
    """

    def __init__(self, exchange: str, partition: int, settings: Settings) -> None:
        super().__init__(own_key(exchange, partition))
        self.exchange = exchange
        self.partition = partition
        self.presence = Presence()
        self._delisted = DelistedCandles()
        self._settings = settings
        self._topic = raw_topic(exchange)
        # Placeholder for frames whose instrument is unknown.
        self._nobody = Instrument(
            exchange=exchange, feed="", symbol=UNKNOWN, exchange_symbol="", kind="spot", base="", quote=""
        )

    def process(self, offset: int, value: bytes) -> Output:
        """Process one raw record."""
        out = Output(self._settings.partitions)
        origin = f"{self.exchange}:{self.partition}:{offset}"
        number = 0
        try:
            for number, line in enumerate(decode_record(value)):
                out.begin(origin, number, line.local_timestamp // 1000)
                self._line(out, offset, line)
        except RawRecordError as error:
            out.begin(origin, number + 1)
            out.dead_letter(self.exchange, UNKNOWN, self._topic, str(error), value)
        self.offset = offset
        return out

    def skip(self, offset: int, value: bytes, reason: str) -> Output:
        """Set a raw record aside that could not be processed: one dead letter holds it, its instruments resync."""
        out = Output(self._settings.partitions)
        lines = _readable_lines(value)
        now = max((line.local_timestamp // 1000 for line in lines), default=0)
        out.begin(f"{self.exchange}:{self.partition}:{offset}", 0, now)
        out.dead_letter(self.exchange, UNKNOWN, self._topic, reason, value, most=MAX_EVENT)
        for key in dict.fromkeys(line.key for line in lines):
            if processor := self.entries.get(key):
                self.changed.add(key)
                processor.on_skipped(out, reason.splitlines()[-1])
        self.offset = offset
        return out

    def _line(self, out: Output, offset: int, line: RawLine) -> None:
        processor = self.entries.get(line.key) or self._no_processor(out, offset, line)
        if processor is None or offset <= processor.checkpoint_offset:
            return  # after a crash: the checkpoint contains it, and its events are published
        self.changed.add(line.key)
        if line.frame.startswith(MARKER):
            self._marker(out, line.key, processor, line.frame)
        else:
            self._frame(out, processor, line.frame)

    def _no_processor(self, out: Output, offset: int, line: RawLine) -> InstrumentProcessor | None:
        """Handle lines without an instrument; create the processor on an instrument's first line."""
        exchange, symbol = split_key(line.key)
        if symbol == EVERY:
            self._tick(out, offset, line.frame)
            return None
        if symbol == UNKNOWN:
            self._unknown(out, line.frame)
            return None
        if line.frame.startswith(_HISTORY) and exchange == self.exchange:  # nothing of it is followed live
            self._history(out, line.key, line.frame)
            return None
        try:
            if exchange != self.exchange:
                raise SymbolError(f"a line of {line.key!r:.100} in {self._topic}")
            # No definition has arrived.
            instrument = instrument_of_key(line.key)
            if not line.frame.startswith(MARKER):
                parse(line.frame, instrument, out.now)  # a malformed first frame must not create an entry
        except (SymbolError, FrameError) as error:
            out.dead_letter(self.exchange, symbol, self._topic, str(error), line.frame)
            return None
        processor = self.entries[line.key] = InstrumentProcessor(instrument, self._settings)
        processor.trade_candles.go_on(self._delisted.ends_of(line.key))
        return processor

    def _frame(self, out: Output, processor: InstrumentProcessor, frame: bytes) -> None:
        try:
            processor.on_frame(out, frame)
        except FrameError as error:
            out.dead_letter(self.exchange, processor.instrument.symbol, self._topic, str(error), frame)

    def _answer(self, out: Output, processor: InstrumentProcessor, answer: Answer) -> None:
        try:
            processor.on_answer(out, answer)
        except FrameError as error:
            reason = f"{answer.path}: {error}"
            out.dead_letter(self.exchange, processor.instrument.symbol, self._topic, reason, bytes(answer.body))

    def _history(self, out: Output, key: str, text: bytes) -> None:
        kept, path = text, ""
        try:
            if isinstance(history := decode_text(text), History):
                kept, path = bytes(history.body), f"{history.path}: "
                publish_history(out, key, history)
        except FrameError as error:
            out.dead_letter(self.exchange, split_key(key)[1], self._topic, f"{path}{error}", kept)

    def _unknown(self, out: Output, frame: bytes) -> None:
        """Publish a frame without an instrument as a dead letter, unless it would hold no event anyway."""
        try:
            if frame.startswith(MARKER):
                marker = decode_text(frame)
                if isinstance(marker, Wrapped | Oversized):
                    frame = unwrap(marker)
                if isinstance(marker, Oversized):
                    raise FrameError(_described(marker))
            if all(type(event) is Ignored for event in parse(frame, self._nobody, out.now)):
                return
            reason = "the instrument is unknown"
        except FrameError as error:
            reason = str(error)
        out.dead_letter(self.exchange, UNKNOWN, self._topic, reason, frame)

    def _marker(self, out: Output, key: str, processor: InstrumentProcessor, text: bytes) -> None:
        if text.startswith(_HISTORY):
            self._history(out, key, text)
            return
        kept = text
        try:
            marker = decode_text(text)
            if isinstance(marker, Wrapped | Oversized):
                kept = unwrap(marker)
            if isinstance(marker, Oversized):
                raise FrameError(_described(marker))
            if isinstance(marker, Definition):
                _check_definition(processor, marker)
        except FrameError as error:
            out.dead_letter(self.exchange, processor.instrument.symbol, self._topic, str(error), kept)
        else:
            self._apply_marker(out, key, processor, marker, kept)

    def _apply_marker(
        self, out: Output, key: str, processor: InstrumentProcessor, marker: Markers, frame: bytes
    ) -> None:
        if isinstance(marker, Definition):
            processor.on_definition(out, marker)
        elif isinstance(marker, Wrapped):
            self._frame(out, processor, frame)
        elif isinstance(marker, Answer):
            self._answer(out, processor, marker)
        else:
            processor.on_marker(out, marker)
            if isinstance(marker, Delisted):
                self._delisted.keep(key, processor.trade_candles.final_ends(), out.now)
                self.changed.add(self.own_key)
                self.delete(key)

    # Stream time

    def _tick(self, out: Output, offset: int, frame: bytes) -> None:
        if offset > self.own_checkpoint_offset:
            self.changed.add(self.own_key)
            self._note_presence(out, offset, _served_feeds(frame))
        for key in sorted(self.entries):  # sources must not depend on the order in which a checkpoint was restored
            processor = self.entries[key]
            if offset > processor.checkpoint_offset:
                self.changed.add(key)
                processor.on_tick(out)
        out.join_all(tick_line(self.exchange, self.partition, out.now))

    def _note_presence(self, out: Output, offset: int, served: list[str] | None) -> None:
        feeds = [name for name in FEEDS if FEEDS[name].exchange == self.exchange] if served is None else served
        gone, returned, step = self.presence.on_tick(feeds, out.now, served is not None)
        for processor in self._processors_of(served or (), offset):
            processor.books.order_book.is_served = True
        for processor in self._processors_of(gone, offset):
            processor.books.order_book.is_served = False
            processor.on_absent(out, self.presence.age(processor.instrument.feed, out.now))
        for processor in self._processors_of(returned, offset):
            processor.on_returned(out)
        if step:
            for processor in self._processors_of(feeds, offset):
                processor.on_clock_step(out, step)

    def _processors_of(self, feeds: Collection[str], offset: int) -> Iterator[InstrumentProcessor]:
        for key in sorted(self.entries) if feeds else ():
            if self.entries[key].instrument.feed in feeds and offset > self.entries[key].checkpoint_offset:
                yield self.entries[key]

    def witness(self, silence: float) -> bytes | None:
        """Return the tick that bears witness to `silence` s without a line, if an ingest should have sent some.

        Its time is by ingest's clock, which may differ from the worker's.
        """
        feeds = {processor.instrument.feed for processor in self.entries.values() if processor.status.up}
        if not self.presence.is_ingest_expected(feeds):
            return None
        at = self.presence.now + int(silence * 1_000_000)
        return encode_marker(at * 1000, key_of(self.exchange, EVERY), Tick(feeds=[]))

    # Checkpoint

    def owns(self, key: str) -> bool:
        exchange, symbol = split_key(key)
        if exchange != self.exchange or symbol.startswith(EVERY):
            return key == self.own_key
        return input_partition_of(key, self._settings.partitions) == self.partition

    def dump_own(self) -> Any:
        return self.presence.dump() | {"delisted": self._delisted.dump()}

    def load_own(self, state: Any) -> None:
        self.presence.load(state)
        self._delisted.load(state.get("delisted", {}))  # checkpoints of earlier versions have none

    def load_entry(self, key: str, dump: bytes) -> InstrumentProcessor:
        return InstrumentProcessor.load(dump, self._settings)


def own_key(exchange: str, partition: int) -> str:
    """Return the key of a partition's own entry."""
    return f"{key_of(exchange, EVERY)}:{partition}"


def _served_feeds(frame: bytes) -> list[str] | None:
    """Return the feeds that a tick's writer serves, or None for a replay's, whose ticks are for all."""
    with suppress(FrameError):
        tick = decode_text(frame)
        return tick.feeds if isinstance(tick, Tick) else None
    return None


def _check_definition(processor: InstrumentProcessor, marker: Definition) -> None:
    new, known = marker.instrument, processor.instrument
    if new.key != known.key or new.feed != known.feed:
        raise FrameError(f"definition of {new.feed} {new.key} received as {known.key}")


def _readable_lines(value: bytes) -> list[RawLine]:
    lines = []
    with suppress(RawRecordError):
        for line in decode_record(value):
            lines.append(line)
    return lines


def _described(marker: Oversized) -> str:
    return f"oversized: {marker.bytes} bytes, sha256 {marker.sha256}; the first KiB is kept"
