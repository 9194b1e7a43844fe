"""One instrument's way through the pipeline: its frames and markers in, its events out. State, but no I/O, no clock."""

from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from schemas.channels import CHANNELS
from schemas.instruments import Instrument
from schemas.limits import MAX_CHECKPOINT_ENTRY
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.books.handler import BookHandler
from streams.normalize import parse
from streams.normalize.messages import BookMessage, Quote, Rejected, Trade, UsedUp
from streams.output import Output
from streams.packing import pack, unpack
from streams.status import FeedStatus
from streams.trades import TradeHandler

log = structlog.get_logger(__name__)

_SECOND = 1_000_000
REPORT_EVERY = 10 * _SECOND  # µs between truth-check reports of an instrument


class InstrumentProcessor:
    """Gives each message to its handler. `covered`: the raw offset that the state holds everything up to."""

    def __init__(self, instrument: Instrument, settings: Settings) -> None:
        self.instrument = instrument
        self.key = instrument.key.encode()
        self.status = FeedStatus(settings.clock_limit_ms * 1000)
        self.trades = TradeHandler(instrument, self.status.trades)
        self.books = BookHandler(instrument, settings, self.status)
        self.reported_at = 0
        self.covered = -1

    # Frames

    def on_frame(self, out: Output, now: int, frame: bytes) -> None:
        """One frame; `FrameError` says why it is none."""
        for event in parse(frame, self.instrument, now):
            if type(event) is Quote:
                self.books.on_quote(out, now, event)
            elif type(event) is Trade:
                self.trades.on_trade(out, now, event)
            elif type(event) is BookMessage:
                self.books.on_depth(out, now, event)
            elif type(event) is UsedUp:
                self.trades.on_used_up(now, event)
            elif type(event) is Rejected:
                instrument, topic = self.instrument, raw_topic(self.instrument.exchange)
                out.dead_letter(instrument.exchange, instrument.symbol, now, topic, event.reason, event.row)

    # Markers

    def on_instrument(self, out: Output, now: int, instrument: Instrument) -> None:
        """Take a definition. They are repeated at each connection, and leave the book alone but for another size."""
        changes, old_size = self._changes(instrument), self.instrument.contract_size
        self.instrument = self.trades.instrument = self.books.instrument = instrument
        if changes and self.status.is_begun:
            self.publish_status(out, now, "changed", [], "; ".join(changes))
        if instrument.contract_size != old_size:
            self.books.on_rescaled(out, now)

    def _changes(self, instrument: Instrument) -> list[str]:
        old, new = self.instrument.model_dump(), instrument.model_dump()
        return [f"{name}: {old[name] or 'none'} → {new[name] or 'none'}" for name in new if old[name] != new[name]]

    def on_marker(self, out: Output, now: int, kind: str, marker: dict[str, Any]) -> None:
        """Take what ingest says of the connection, the subscriptions and the clock."""
        channels = marker.get("channels", CHANNELS)
        if kind == "connected" and self.status.were_cut_off(channels):
            self.on_away(out, now, "absent", channels)  # whoever ingested them could not say so
        for event in self.status.marker(kind, marker):
            self._publish_status(out, now, event)
        if kind == "disconnected":
            self.on_away(out, now, kind, channels)
        elif kind == "delisted":
            self.books.on_delisted(out, now)
        elif kind == "subscribed" and "trades" in (channels or CHANNELS):
            self.trades.on_back(out, now)

    def on_away(self, out: Output, now: int, cause: str, channels: Iterable[str] = CHANNELS) -> None:
        """Nothing brings these channels any more."""
        if "books" in channels:
            self.books.leave(out, now, cause)
        if "trades" in channels:
            self.trades.on_away(out, now, cause)

    def on_absent(self, out: Output, now: int, age: int) -> None:
        """Nobody has ingested the feed for `age` µs. Should it only have been held up, updates that follow go on."""
        if not self.status.up:
            return
        self._publish_status(out, now, self.status.event("absent", sorted(self.status.up)) | {"age": age})
        self.books.on_absent(out, now)
        if "trades" in self.status.up:
            self.trades.on_away(out, now, "absent")

    def on_returned(self, out: Output, now: int) -> None:
        """Somebody ingests the feed again."""
        if self.status.up:
            self.publish_status(out, now, "returned", sorted(self.status.up), "")

    def publish_status(self, out: Output, now: int, kind: str, channels: Sequence[str], reason: str) -> None:
        """One event of `market.status`."""
        self._publish_status(out, now, self.status.event(kind, list(channels), reason))

    def _publish_status(self, out: Output, now: int, event: dict[str, Any]) -> None:
        out.event("market.status", self.key, out.head(self.instrument, now, now) | event)

    def on_skipped(self, out: Output, now: int, reason: str) -> None:
        """A record with lines of this instrument was set aside."""
        self.publish_status(out, now, "skipped", [], reason)
        self.books.on_lost(out, now, "skipped")
        self.trades.on_away(out, now, "skipped")

    def on_tick(self, out: Output, now: int) -> None:
        """A second of stream time: what closes, expires or is repeated by time."""
        is_reporting = now - self.reported_at >= REPORT_EVERY
        self.trades.tick(out, now)
        for event in self.status.second():
            self._publish_status(out, now, event)
        self.books.on_tick(out, now, is_reporting)
        if is_reporting:
            self.reported_at = now
            for event in self.status.report(now):
                self._publish_status(out, now, event)
            self.books.report(out, now)

    def clock_stepped(self, out: Output, now: int, step: int) -> None:
        """Our clock was set by `step` µs: all remembered times move with it."""
        self.publish_status(out, now, "clock_stepped", [], f"ingest's clock was set by {step / _SECOND:+.0f} s")
        self.trades.shift(step)
        self.books.shift(step)
        self.status.shift(step)
        self.reported_at += step

    # Checkpoint

    def dump(self) -> bytes:
        """A checkpoint entry, of bounded size: what a huge book holds is given up before the pipeline is."""
        entry = pack(self._state())
        while len(entry) > MAX_CHECKPOINT_ENTRY and self.books.give_up():
            log.error("checkpoint entry too large: its book starts anew", key=self.instrument.key, bytes=len(entry))
            entry = pack(self._state())
        return entry

    def _state(self) -> dict[str, Any]:
        return {
            "covered": self.covered,
            "instrument": self.instrument.model_dump(),
            "books": self.books.dump(),
            "status": self.status.dump(),
            "trades": self.trades.dump(),
            "reported_at": self.reported_at,
        }

    @classmethod
    def load(cls, dump: bytes, settings: Settings) -> "InstrumentProcessor":
        """The instrument of a checkpoint entry."""
        state = unpack(dump)
        stream = cls(Instrument(**state["instrument"]), settings)
        stream.covered, stream.reported_at = state["covered"], state["reported_at"]
        stream.books.load(state["books"])
        stream.status.load(state["status"])
        stream.trades.load(state["trades"])
        return stream
