"""Process one instrument: frames and markers in, events out. Stateful, but does no I/O and never reads the clock."""

from collections.abc import Callable, Iterable
from typing import Any

import structlog

from schemas import markers
from schemas.channels import CORE_CHANNELS, POLLS
from schemas.instruments import Instrument, differences
from schemas.limits import MAX_CHECKPOINT_ENTRY
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.books.handler import BookHandler
from streams.candles import CandleHandler
from streams.definitions import DefinitionHandler
from streams.gaps import publish_filled
from streams.liquidations import LiquidationHandler
from streams.normalize import parse, parse_answer
from streams.normalize.messages import (
    BookMessage,
    Candle,
    Ignored,
    Liquidation,
    Normalized,
    Quote,
    Reading,
    Rejected,
    RestQuote,
    SeriesRow,
    Trade,
    UsedUp,
)  # fmt: skip
from streams.output import Output
from streams.packing import pack, unpack
from streams.readings import ReadingHandler
from streams.series import SeriesHandler
from streams.status import FeedStatus
from streams.subject import Subject
from streams.trade_candles.handler import TradeCandles
from streams.trade_candles.reconciliation import Reconciliation
from streams.trades import TradeHandler

log = structlog.get_logger(__name__)

_SECOND = 1_000_000
REPORT_EVERY = 10 * _SECOND  # µs between reports of health and quality

Handler = Callable[[Output, Any], None]


class InstrumentProcessor:
    """Passes each message of one instrument to its handler.

    `checkpoint_offset`: the state contains all raw records up to this offset.
    """

    def __init__(self, instrument: Instrument, settings: Settings) -> None:
        self.subject = Subject(instrument)
        self.status = FeedStatus(self.subject, settings.clock_limit_ms * 1000)
        self.trades = TradeHandler(self.subject, self.status.health_of("trades"))
        self.books = BookHandler(self.subject, settings, self.status)
        self.readings = ReadingHandler(self.subject, self.status)
        self.reconciliation = Reconciliation(self.subject, settings.candle_intervals)
        self.candles = CandleHandler(self.subject, self.status, self.reconciliation)
        self.trade_candles = TradeCandles(self.subject, settings, self.status, self.trades.ids, self.reconciliation)
        if self.trade_candles.is_on:
            self.trades.pass_on_to(self.trade_candles)
        self.series = SeriesHandler(self.subject, self.status)
        self.definitions = DefinitionHandler(self.subject)
        self.liquidations = LiquidationHandler(self.subject, self.status)
        self.reported_at = 0
        self.checkpoint_offset = -1
        # A row for each type of `Normalized`.
        self.handlers: dict[type[Normalized], Handler] = {
            Quote: self.books.on_quote,
            RestQuote: self.books.on_rest_quote,
            Trade: self.trades.on_trade,
            BookMessage: self.books.on_message,
            UsedUp: self.trades.on_used_up,
            Reading: self.readings.on_reading,
            Candle: self.candles.on_candle,
            SeriesRow: self.series.on_row,
            Liquidation: self.liquidations.on_liquidation,
            Rejected: self._on_rejected,
            Ignored: _ignore,
        }

    @property
    def instrument(self) -> Instrument:
        """The current definition."""
        return self.subject.instrument

    # Frames

    def on_frame(self, out: Output, frame: bytes) -> None:
        """Process one frame. Raises `FrameError` if it is malformed."""
        handlers = self.handlers
        for message in parse(frame, self.subject.instrument, out.now):
            handlers[type(message)](out, message)

    def on_answer(self, out: Output, answer: markers.Answer) -> None:
        """Process the answer of a poll. Raises `FrameError` if it is malformed."""
        if answer.channel in POLLS:  # what stands in for a socket's data says nothing of that channel's health
            self.status.health_of(answer.channel).on_message(out.now, answer.due)  # the latency of a poll is its delay
        for message in parse_answer(answer, self.subject.instrument, out.now):
            self.handlers[type(message)](out, message)

    def _on_rejected(self, out: Output, rejected: Rejected) -> None:
        subject = self.subject
        out.dead_letter(subject.exchange, subject.symbol, raw_topic(subject.exchange), rejected.reason, rejected.row)

    # Markers

    def on_definition(self, out: Output, definition: markers.Definition) -> None:
        """Take a definition, which is repeated at each connection. Only a new contract size resets the book."""
        instrument, old = definition.instrument, self.instrument
        self.subject.instrument = instrument
        self.definitions.on_definition(out, old, instrument)
        if self.status.is_begun and (changes := _changes(old, instrument)):
            self.status.publish(out, "changed", [], "; ".join(changes))
        if instrument.contract_size != old.contract_size:
            self.books.on_rescaled(out)
        if definition.seed_levels:
            self.books.order_book.cut_seeds_at(definition.seed_levels)

    def on_marker(self, out: Output, marker: markers.Markers) -> None:
        """Take what ingest reports about the connection, the subscriptions and the clock."""
        match marker:
            case markers.Connected():
                self._on_connected(out, marker)
            case markers.Connection():
                self._on_connection(out, marker)
            case markers.Silent():
                self.status.publish(out, marker.type, [marker.channel], marker.step, marker.age)
            case markers.Resumed():
                self.status.publish(out, marker.type, [marker.channel], age=marker.age)
            case markers.Clock():
                self.status.on_clock(marker.offset, marker.round_trip)
            case markers.RateLimited():
                reason = f"{marker.where} {marker.status}: wait {marker.seconds:g} s"
                self.status.publish(out, marker.type, reason=reason)
            case markers.HostChanged():
                reason = f"{marker.where} {marker.uplink}: {marker.reason}"
                self.status.publish(out, marker.type, reason=reason)
            case markers.Delisted():
                self.status.on_disconnected(self.status.up.copy())
                self.status.publish(out, marker.type, reason=marker.reason)
                self.definitions.on_delisted(out)
                self.books.on_delisted(out)
                self.trade_candles.on_outage(out, ["trades"])
                self.trade_candles.close_all(out)
            case markers.Filled():
                publish_filled(out, self.subject, marker)
            case markers.RestFallback() | markers.RestFallbackEnded():
                self.status.publish(out, marker.type, ["books"], marker.reason)
            case markers.Notice() | markers.Listed() | markers.RestDown() | markers.RestUp():
                self.status.publish(out, marker.type, reason=marker.reason)
            case markers.Lost():
                self.books.on_lost(out)
                self._cut_off_candles(out, self.status.up)

    def _on_connected(self, out: Output, marker: markers.Connected) -> None:
        channels = marker.channels or list(CORE_CHANNELS)
        if self.status.were_cut_off(channels):
            self.on_outage(out, "absent", channels)  # the ingest that died could not report it
        self.status.on_connected(channels)
        self.status.publish(out, marker.type, channels, marker.reason)
        if missed := self.status.take_stopped(channels):
            self.on_outage(out, "stopped", missed)

    def _on_connection(self, out: Output, marker: markers.Connection) -> None:
        channels = marker.channels or CORE_CHANNELS
        match marker:
            case markers.Disconnected() | markers.Stopped():
                self.status.on_disconnected(channels)
            case markers.Renewed():
                self.status.renewals += 1
        self.status.publish(out, marker.type, marker.channels, marker.reason)
        match marker:
            case markers.Disconnected():
                self.on_outage(out, marker.type, channels)
            case markers.Stopped():
                self._on_stopped(out, channels)
            case markers.Subscribed() if "trades" in channels:
                self.trades.on_return(out)
                self.trade_candles.on_return(out)

    def _on_stopped(self, out: Output, channels: Iterable[str]) -> None:
        """Open no gaps: nobody expects these channels. Only once they are connected again, something is missing."""
        self.status.on_stopped(channels)
        self._cut_off_candles(out, channels)
        if "books" in channels:
            self.books.on_stopped(out)

    def on_outage(self, out: Output, cause: str, channels: Iterable[str] = CORE_CHANNELS) -> None:
        """Open gaps: nobody delivers these channels any more."""
        self._cut_off_candles(out, channels)
        if "books" in channels:
            self.books.on_outage(out, cause)
        if "trades" in channels:
            self.trades.on_outage(out, cause)

    def on_absent(self, out: Output, age: int) -> None:
        """Open gaps: nobody has ingested the feed for `age` µs. If ingest was only held up, the next updates go on."""
        if not self.status.up:
            return
        self.status.publish(out, "absent", sorted(self.status.up), age=age)
        self._cut_off_candles(out, self.status.up)
        self.books.on_absent(out)
        if "trades" in self.status.up:
            self.trades.on_outage(out, "absent")

    def on_returned(self, out: Output) -> None:
        """Report that the feed is ingested again."""
        if self.status.up:
            self.status.publish(out, "returned", sorted(self.status.up))

    def on_skipped(self, out: Output, reason: str) -> None:
        """Open gaps: a record with lines of this instrument was set aside."""
        self.status.publish(out, "skipped", [], reason)
        self._cut_off_candles(out, self.status.up)
        self.books.on_lost(out, "skipped")
        self.trades.on_outage(out, "skipped")

    def _cut_off_candles(self, out: Output, channels: Iterable[str]) -> None:
        self.candles.on_outage(channels)
        self.trade_candles.on_outage(out, channels)

    # Time

    def on_tick(self, out: Output) -> None:
        """Process a second of stream time."""
        is_reporting = out.now - self.reported_at >= REPORT_EVERY
        self.trades.on_tick(out)
        self.readings.on_tick(out)
        self.candles.on_tick(out)
        self.trade_candles.on_tick(out)
        self.liquidations.seen.tick(out.now)
        self.status.on_second(out)
        self.books.on_tick(out, is_reporting)
        if is_reporting:
            self.reported_at = out.now
            self.status.report(out)
            self.books.report(out)
            self.reconciliation.report(out)

    def on_clock_step(self, out: Output, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self.status.publish(out, "clock_stepped", [], f"ingest's clock was set by {step / _SECOND:+.0f} s")
        self.trades.shift(step)
        self.books.shift(step)
        self.status.shift(step)
        self.readings.shift(step)
        self.candles.shift(step)
        self.trade_candles.shift(step)
        self.reconciliation.shift(step)
        self.liquidations.seen.shift(step)
        self.reported_at += step

    # Checkpoint

    def dump(self) -> bytes:
        """Return a checkpoint entry of bounded size: a huge book is given up before the pipeline is."""
        entry = pack(self._state())
        while len(entry) > MAX_CHECKPOINT_ENTRY and self.books.give_up():
            log.error("checkpoint entry too large: resetting its book", key=self.instrument.key, bytes=len(entry))
            entry = pack(self._state())
        return entry

    def _state(self) -> dict[str, Any]:
        return {
            "checkpoint_offset": self.checkpoint_offset,
            "instrument": self.instrument.model_dump(),
            "books": self.books.dump(),
            "status": self.status.dump(),
            "trades": self.trades.dump(),
            "readings": self.readings.dump(),
            "candles": self.candles.dump(),
            "trade_candles": self.trade_candles.dump(),
            "reconciliation": self.reconciliation.dump(),
            "series": self.series.dump(),
            "liquidations": self.liquidations.seen.dump(),
            "is_listed": self.definitions.is_listed,
            "reported_at": self.reported_at,
        }

    @classmethod
    def load(cls, dump: bytes, settings: Settings) -> "InstrumentProcessor":
        """Return the processor of a checkpoint entry."""
        state = unpack(dump)
        processor = cls(Instrument(**state["instrument"]), settings)
        processor.checkpoint_offset, processor.reported_at = state["checkpoint_offset"], state["reported_at"]
        processor.books.load(state["books"])
        processor.status.load(state["status"])
        processor.trades.load(state["trades"])
        processor.readings.load(state["readings"])
        processor.candles.load(state["candles"])
        if "trade_candles" in state:  # checkpoints of earlier versions have none
            processor.trade_candles.load(state["trade_candles"])
            processor.reconciliation.load(state["reconciliation"])
        processor.series.load(state["series"])
        processor.liquidations.seen.load(state["liquidations"])
        processor.definitions.is_listed = state["is_listed"]
        return processor


def _ignore(out: Output, message: Ignored) -> None:
    pass


def _changes(old: Instrument, new: Instrument) -> list[str]:
    return [
        f"{name}: {before or 'none'} → {after or 'none'}" for name, (before, after) in differences(old, new).items()
    ]
