"""One instrument's way through the pipeline: its frames and markers in, its events out. State, but no I/O, no clock."""

from collections.abc import Sequence
from typing import Any

import orjson
import structlog

from schemas.feeds import CHANNELS
from schemas.instruments import Instrument
from schemas.limits import MAX_CHECKPOINT_ENTRY
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.feed_status import FeedStatus
from streams.gaps import Gap
from streams.lead import Lead
from streams.levels import Levels, json_of
from streams.normalize import parse
from streams.normalize.amounts import base_levels
from streams.normalize.events import Depth, Quote, Rejected, Trade, UsedUp
from streams.normalize.values import levels
from streams.order_book import Broken, OrderBook
from streams.output import Output
from streams.packing import pack, unpack
from streams.snapshot_requests import SnapshotRequests
from streams.trades import Trades
from streams.truth_check import TruthCheck, json_of_top, top_of

log = structlog.get_logger(__name__)

_SECOND = 1_000_000
REPORT_EVERY = 10 * _SECOND  # µs between truth-check reports of an instrument


class InstrumentStream:
    """Normalizes, keeps the book, publishes. `covered`: the raw offset that the state holds everything up to."""

    def __init__(self, instrument: Instrument, settings: Settings) -> None:
        self.instrument = instrument
        self.key = instrument.key.encode()
        self.orders = OrderBook(instrument.feed)
        self.check = TruthCheck()
        self.status = FeedStatus(settings.clock_limit_ms * 1000)
        self.trades = Trades(instrument, self.status.trades)
        self.requests = SnapshotRequests()
        self.top: tuple[Levels, Levels] | None = None  # the book's levels last published as a quote
        self.lead = Lead()
        self.gap: Gap | None = None
        self.snapshot_at = 0
        self.reported_at = 0
        self.covered = -1
        self._is_limited = False  # reported: the buffer is full
        self._gave_up = False  # the book, for it was too large for a checkpoint
        self._levels = settings.quote_levels
        self._depth = settings.depth
        self._joined = settings.joined_symbol(instrument.exchange, instrument.symbol)  # empty: never paired
        self._silence = int(settings.silence_s * _SECOND)
        self._snapshot_every = int(settings.snapshot_s * _SECOND)

    # Frames

    def on_frame(self, out: Output, now: int, frame: bytes) -> None:
        """One frame; `FrameError` says why it is none."""
        for event in parse(frame, self.instrument, now):
            if type(event) is Quote:
                self._on_quote(out, now, event)
            elif type(event) is Trade:
                self.trades.on_trade(out, now, event)
            elif type(event) is Depth:
                self._on_depth(out, now, event)
            elif type(event) is UsedUp:
                self.trades.on_used_up(now, event)
            elif type(event) is Rejected:
                instrument, topic = self.instrument, raw_topic(self.instrument.exchange)
                out.dead_letter(instrument.exchange, instrument.symbol, now, topic, event.reason, event.row)

    def _on_quote(self, out: Output, now: int, quote: Quote) -> None:
        self.status.quotes.heard(now, quote.timestamp)
        orders = self.orders
        bids, asks = quote.bids, quote.asks
        fresh = self.lead.has_quote(quote, orders.sequence, now)
        if orders.state == "live":
            if quote.sequence:
                self._compared(out, now, self.check.on_bbo(now, quote.sequence, top_of(bids, asks)))
            if fresh and orders.state == "live":
                self.lead.on_quote(quote, now)
                # The book's levels behind the exchange's best one. After a move the book is up to one update late:
                # its levels then are not those behind that price.
                bids = bids + orders.book.bids.behind(quote.bid, self._levels)
                asks = asks + orders.book.asks.behind(quote.ask, self._levels)
        value = self._publish_quote(out, now, "bbo", quote.timestamp, quote.sequence, bids, asks)
        if fresh and self._joined:  # one that the book has passed must not step the join back
            out.join(self._joined, orders.state.encode() + b"\t" + value)

    def _publish_quote(
        self, out: Output, now: int, origin: str, timestamp: int, sequence: int, bids: Levels, asks: Levels
    ) -> bytes:
        body = out.head(self.instrument, timestamp, now)
        body["origin"] = origin
        body["sequence"] = sequence
        body["bids"] = json_of(base_levels(self.instrument, bids))
        body["asks"] = json_of(base_levels(self.instrument, asks))
        return out.event("market.quotes", self.key, body)

    def _on_depth(self, out: Output, now: int, message: Depth) -> None:
        orders, since = self.orders, self.status.books.heard_at
        if message.kind != "seed":
            self.status.books.heard(now, message.timestamp)
        was_live, was_crossed = orders.state == "live", orders.crossed
        outcome = orders.take(message)
        if isinstance(outcome, Broken):
            self._on_broken(out, now, outcome, was_live, since)
            return
        if orders.crossed and not was_crossed:
            self._on_crossed_snapshot(out, now, was_live, since)
        if not outcome:
            self.status.books.repeated += was_live
            return
        self.lead.on_book(outcome[-1].timestamp, now)
        for applied in outcome:
            self._publish_book(out, now, applied)
        if not was_live or outcome[0].kind != "update":
            self.check.restart()
            self.lead.restart()
            self.requests.on_live(now)
            self._close_gap(out, now)
        book, sequence = orders.book, orders.sequence
        bids, asks = book.bids.top(self._levels), book.asks.top(self._levels)
        if sequence:
            self._compared(out, now, self.check.on_book(now, sequence, top_of(bids, asks)))
        if (bids, asks) != self.top and orders.state == "live":
            self._publish_top(out, now, outcome[-1].timestamp, bids, asks)

    def _publish_book(self, out: Output, now: int, message: Depth) -> None:
        body = out.head(self.instrument, message.timestamp, now)
        body["type"] = "update" if message.kind == "update" else "snapshot"
        body["sequence"] = message.last
        body["previous"] = message.previous if message.previous >= 0 else max(message.first - 1, 0)
        body["bids"] = json_of(base_levels(self.instrument, message.bids.levels))
        body["asks"] = json_of(base_levels(self.instrument, message.asks.levels))
        out.event("market.books", self.key, body)
        if message.kind != "update":
            self.snapshot_at = now

    def _publish_top(self, out: Output, now: int, timestamp: int, bids: Levels, asks: Levels) -> None:
        self.top = bids, asks
        value = self._publish_quote(out, now, "book", timestamp, self.orders.sequence, bids, asks)
        if self._joined and self.lead.has_book(self.orders.sequence, now):
            out.join(self._joined, b"live\t" + value)

    # Gaps

    def _on_broken(self, out: Output, now: int, broken: Broken, was_live: bool, since: int) -> None:
        if was_live:
            self._open_gap(out, now, broken.cause, since, broken.expected, broken.received)
        self.requests.on_down(now)
        if self.requests.is_due_at_once(now):
            self._ask(out, now, broken.cause)

    def _on_crossed_snapshot(self, out: Output, now: int, was_live: bool, since: int) -> None:
        if was_live:
            self._open_gap(out, now, "crossed", since)
        self.publish_status(out, now, "not_tradable", ["books"], "its snapshot is crossed")

    def _open_gap(
        self, out: Output, now: int, cause: str, since: int = 0, expected: int = 0, received: int = 0
    ) -> None:
        self.top = None
        self.check.restart()
        self._notify_join(out, now)
        if self.gap is not None:
            return
        self.gap = Gap(f"{self.instrument.key}:{now}", cause, now, since or self.status.books.heard_at or now)
        out.event("market.gaps", self.key, out.head(self.instrument, now, now) | self.gap.opened(expected, received))

    def _close_gap(self, out: Output, now: int) -> None:
        if self.gap is None:
            return
        out.event("market.gaps", self.key, out.head(self.instrument, now, now) | self.gap.closed(now))
        self.gap = None

    def _ask(self, out: Output, now: int, reason: str) -> None:
        self.requests.on_request(now)
        out.request_snapshot(self.instrument.exchange, self.instrument.symbol, reason, now)

    def _notify_join(self, out: Output, now: int) -> None:
        """The book went out of the live state: open signals that rest on it must close."""
        if not self._joined:
            return
        notice = {
            "source": out.source(),
            "exchange": self.instrument.exchange,
            "symbol": self.instrument.symbol,
            "local_timestamp": now,
        }
        out.join(self._joined, self.orders.state.encode() + b"\t" + orjson.dumps(notice))

    # Truth check

    def _compared(self, out: Output, now: int, difference: Any) -> None:
        if difference is None:
            return
        body = out.head(self.instrument, now, now) | {"type": "difference", "compared": 0, "agreed": 0, "differed": 0}
        body |= {"sequence": difference.sequence, "bbo": json_of_top(difference.bbo)}
        body["book"] = json_of_top(difference.book)
        out.event("market.quality", self.key, body)
        since = self.status.books.heard_at
        self._on_broken(out, now, self.orders.distrust(), was_live=True, since=since)

    def _report(self, out: Output, now: int) -> None:
        self.reported_at = now
        for event in self.status.report(now):
            self._publish_status(out, now, event)
        agreed, differed = self.check.report()
        if not agreed + differed:
            return
        body = out.head(self.instrument, now, now)
        body |= {"type": "report", "compared": agreed + differed, "agreed": agreed, "differed": differed}
        body |= {"sequence": self.orders.sequence, "bbo": [], "book": []}
        out.event("market.quality", self.key, body)

    # Markers

    def on_instrument(self, out: Output, now: int, instrument: Instrument) -> None:
        """Take a definition. They are repeated at each connection; a change of units has the book published anew."""
        changes = self._changes(instrument)
        rescaled = instrument.contract_size != self.instrument.contract_size
        self.instrument = self.trades.instrument = instrument
        if changes and self.status.is_begun:
            self.publish_status(out, now, "changed", [], "; ".join(changes))
        if rescaled and self.orders.state == "live":
            self._repeat_snapshot(out, now)
            self.top = None

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
        elif kind == "delisted" and self.orders.state == "live":
            self.orders.leave()
            self._notify_join(out, now)
        elif kind == "subscribed" and "trades" in (channels or CHANNELS):
            self.trades.on_back(out, now)

    def on_away(self, out: Output, now: int, cause: str, channels: Sequence[str] = CHANNELS) -> None:
        """Nothing brings these channels any more."""
        if "books" in channels:
            self._leave(out, now, cause)
        if "trades" in channels:
            self.trades.on_away(out, now, cause)

    def on_absent(self, out: Output, now: int, age: int) -> None:
        """Nobody has ingested the feed for `age` µs. Should it only have been held up, updates that follow go on."""
        if not self.status.up:
            return
        self._publish_status(out, now, self.status.event("absent", sorted(self.status.up)) | {"age": age})
        if self.orders.state == "live":
            self.orders.fall_silent()
            self._open_gap(out, now, "absent")
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

    def on_lost(self, out: Output, now: int, cause: str = "lost") -> None:
        """Frames of this instrument were dropped before they were processed."""
        self._leave(out, now, cause)
        self._ask(out, now, cause)

    def _leave(self, out: Output, now: int, cause: str) -> None:
        was_live = self.orders.state == "live"
        self.orders.leave()
        self.requests.on_down(now)
        if was_live or cause in ("lost", "skipped"):
            self._open_gap(out, now, cause)

    def on_tick(self, out: Output, now: int) -> None:
        """A second of stream time: what closes, expires or is repeated by time."""
        self.trades.tick(out, now)
        if self._gave_up:
            self._gave_up = False
            self.publish_status(out, now, "limited", ["books"], "too large for a checkpoint")
            self.on_lost(out, now)
        for event in self.status.second():
            self._publish_status(out, now, event)
        orders = self.orders
        if orders.state == "live":
            self._look_after(out, now)
        elif (orders.buffer or orders.crossed) and self.requests.is_due(now):
            self._ask(out, now, "crossed" if orders.crossed else "waiting")
        self._report_full_buffer(out, now)
        if now - self.reported_at >= REPORT_EVERY:
            self._report(out, now)

    def _look_after(self, out: Output, now: int) -> None:
        """A live book: stale when its channel is silent, whatever else of the instrument comes."""
        orders = self.orders
        if now - max(self.status.books.heard_at, self.requests.live_since) > self._silence:
            orders.fall_silent()
            self._notify_join(out, now)
            self.top = None
            return
        if now - self.snapshot_at >= self._snapshot_every and orders.is_whole:
            self._repeat_snapshot(out, now)
        if now - self.reported_at >= REPORT_EVERY or orders.is_near_bound():
            self._look_at_depth(out, now)

    def _look_at_depth(self, out: Output, now: int) -> None:
        """Have a seed fetched before the price leaves what the last one knew, or less than `depth` is known."""
        known = self.orders.shortage(self._depth)
        if known and self.requests.is_due_for_depth(now, known, self._depth):
            self.orders.refresh()
            self._ask(out, now, "depth")

    def _report_full_buffer(self, out: Output, now: int) -> None:
        is_limited = self.orders.buffer.dropped > 0
        if is_limited and not self._is_limited:
            self.publish_status(out, now, "limited", ["books"], "updates that wait for a snapshot fill their buffer")
        self._is_limited = is_limited

    def _repeat_snapshot(self, out: Output, now: int) -> None:
        self._publish_book(out, now, self.orders.whole(now))

    def clock_stepped(self, out: Output, now: int, step: int) -> None:
        """Our clock was set by `step` µs: all remembered times move with it."""
        self.publish_status(out, now, "clock_stepped", [], f"ingest's clock was set by {step / _SECOND:+.0f} s")
        self.trades.shift(step)
        self.requests.shift(step)
        self.status.shift(step)
        self.lead.shift(step)
        self.snapshot_at += step
        self.reported_at += step

    # Checkpoint

    def dump(self) -> bytes:
        """A checkpoint entry, of bounded size: what a huge book holds is given up before the pipeline is."""
        entry = pack(self._state())
        for give_up in (self.orders.buffer.clear, self.orders.clear):
            if len(entry) <= MAX_CHECKPOINT_ENTRY:
                break
            log.error("checkpoint entry too large: its book starts anew", key=self.instrument.key, bytes=len(entry))
            give_up()
            self._gave_up = True
            entry = pack(self._state())
        return entry

    def _state(self) -> dict[str, Any]:
        return {
            "covered": self.covered,
            "instrument": self.instrument.model_dump(),
            "orders": self.orders.dump(),
            "check": self.check.dump(),
            "status": self.status.dump(),
            "trades": self.trades.dump(),
            "top": self.top and [json_of(side) for side in self.top],
            "gap": self.gap and list(self.gap),
            "requests": self.requests.dump(),
            "times": [self.snapshot_at, self.reported_at],
            "lead": self.lead.dump(),
            "limited": self._is_limited,
        }

    @classmethod
    def load(cls, dump: bytes, settings: Settings) -> "InstrumentStream":
        state = unpack(dump)
        stream = cls(Instrument(**state["instrument"]), settings)
        stream.covered = state["covered"]
        stream.orders.load(state["orders"])
        stream.check.load(state["check"])
        stream.status.load(state["status"])
        stream.trades.load(state["trades"])
        stream.requests.load(state["requests"])
        stream.top = state["top"] and (levels(state["top"][0]).levels, levels(state["top"][1]).levels)
        stream.gap = state["gap"] and Gap(*state["gap"])
        stream.snapshot_at, stream.reported_at = state["times"]
        stream.lead.load(state["lead"])
        stream._is_limited = state["limited"]
        return stream
