"""One instrument's way through the pipeline: its frames and markers in, its events out. State, but no I/O, no clock."""

from typing import Any

import orjson

from schemas.feeds import CHANNELS
from schemas.instruments import Instrument
from schemas.settings import Settings
from schemas.topics import raw_topic
from streams.continuity import RULES
from streams.doubles import SeenTrades
from streams.feed_status import FeedStatus
from streams.gaps import Gap
from streams.lead import Lead
from streams.levels import Levels, json_of
from streams.normalize import parse
from streams.normalize.amounts import base_levels
from streams.normalize.events import CheckedLevels, Depth, Quote, Rejected, Trade
from streams.normalize.values import levels
from streams.order_book import Broken, OrderBook
from streams.output import Output
from streams.truth_check import TruthCheck, json_of_top, top_of

_SECOND = 1_000_000
REPORT_EVERY = 10 * _SECOND  # µs between truth-check reports of an instrument
ASK_AGAIN_AFTER = 5 * _SECOND  # µs without an answer to a snapshot request


class InstrumentStream:
    """Normalizes, keeps the book, publishes. `covered`: the raw offset that the state holds everything up to."""

    def __init__(self, instrument: Instrument, settings: Settings) -> None:
        self.instrument = instrument
        self.key = instrument.key.encode()
        self.orders = OrderBook(RULES[instrument.feed])
        self.check = TruthCheck()
        self.status = FeedStatus(settings.clock_limit_ms * 1000)
        self.seen_trades = SeenTrades()
        self.top: tuple[Levels, Levels] | None = None  # the book's levels last published as a quote
        self.lead = Lead()
        self.gap: Gap | None = None
        self.heard_at = 0
        self.snapshot_at = 0
        self.reported_at = 0
        self.asked_at = 0
        self.covered = -1
        self._levels = settings.quote_levels
        self._joined = settings.joined_symbol(instrument.exchange, instrument.symbol)  # empty: never paired
        self._silence = int(settings.silence_s * _SECOND)
        self._snapshot_every = int(settings.snapshot_s * _SECOND)

    # Frames

    def on_frame(self, out: Output, now: int, frame: bytes) -> None:
        """One frame; `FrameError` says why it is none."""
        events = parse(frame, self.instrument, now)
        self.heard_at = now
        for event in events:
            if type(event) is Quote:
                self._on_quote(out, now, event)
            elif type(event) is Trade:
                self._on_trade(out, now, event)
            elif type(event) is Depth:
                self._on_depth(out, now, event)
            elif type(event) is Rejected:
                instrument, topic = self.instrument, raw_topic(self.instrument.exchange)
                out.dead_letter(instrument.exchange, instrument.symbol, now, topic, event.reason, event.row)

    def _head(self, out: Output, timestamp: int, now: int) -> dict[str, Any]:
        instrument = self.instrument
        return {
            "source": out.source(),
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "timestamp": timestamp,
            "local_timestamp": now,
        }

    def _on_trade(self, out: Output, now: int, trade: Trade) -> None:
        self.status.trades.heard(now, trade.timestamp)
        if self.seen_trades and not self.seen_trades.is_new(trade.id):
            self.status.trades.repeated += 1
            return
        body = self._head(out, trade.timestamp, now)
        body["id"] = trade.id
        body["price"] = trade.price
        body["amount"] = trade.amount
        body["side"] = trade.side
        body["kind"] = trade.kind
        body["exchange_amount"] = trade.exchange_amount or trade.amount
        out.event("market.trades", self.key, body)

    def _on_quote(self, out: Output, now: int, quote: Quote) -> None:
        self.status.quotes.heard(now, quote.timestamp)
        orders = self.orders
        bids, asks = quote.bids, quote.asks
        fresh = self.lead.has_quote(quote, orders.sequence)
        if orders.state == "live":
            if quote.sequence:
                self._compared(out, now, self.check.on_bbo(now, quote.sequence, top_of(bids, asks)))
            if fresh:
                self.lead.on_quote(quote)
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
        body = self._head(out, timestamp, now)
        body["origin"] = origin
        body["sequence"] = sequence
        body["bids"] = json_of(base_levels(self.instrument, bids))
        body["asks"] = json_of(base_levels(self.instrument, asks))
        return out.event("market.quotes", self.key, body)

    def _on_depth(self, out: Output, now: int, message: Depth) -> None:
        if message.kind != "seed":
            self.status.books.heard(now, message.timestamp)
        was_live = self.orders.state == "live"
        outcome = self.orders.take(message)
        if isinstance(outcome, Broken):
            self._on_broken(out, now, outcome, was_live)
            return
        if not outcome:
            self.status.books.repeated += was_live
            return
        self.lead.on_book(outcome[-1].timestamp)
        for applied in outcome:
            self._publish_book(out, now, applied)
        if not was_live or outcome[0].kind != "update":
            self.check.restart()
            self.lead.restart()
            self._close_gap(out, now)
        book, sequence = self.orders.book, self.orders.sequence
        bids, asks = book.bids.top(self._levels), book.asks.top(self._levels)
        if sequence:
            self._compared(out, now, self.check.on_book(now, sequence, top_of(bids, asks)))
        if (bids, asks) != self.top:
            self._publish_top(out, now, outcome[-1].timestamp, bids, asks)

    def _publish_book(self, out: Output, now: int, message: Depth) -> None:
        body = self._head(out, message.timestamp, now)
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
        if self._joined and self.lead.has_book(self.orders.sequence):
            out.join(self._joined, b"live\t" + value)

    # Gaps

    def _on_broken(self, out: Output, now: int, broken: Broken, was_live: bool) -> None:
        if was_live:
            self._open_gap(out, now, broken.cause, broken.expected, broken.received)
        self._ask(out, now, broken.cause)

    def _open_gap(self, out: Output, now: int, cause: str, expected: int = 0, received: int = 0) -> None:
        self.top = None
        self.check.restart()
        self._tell_join(out, now)
        if self.gap is not None:
            return
        self.gap = Gap(f"{self.instrument.key}:{now}", cause, now)
        out.event("market.gaps", self.key, self._head(out, now, now) | self.gap.opened(expected, received))

    def _close_gap(self, out: Output, now: int) -> None:
        if self.gap is None:
            return
        out.event("market.gaps", self.key, self._head(out, now, now) | self.gap.closed(now))
        self.gap = None

    def _ask(self, out: Output, now: int, reason: str) -> None:
        self.asked_at = now
        out.request_snapshot(self.instrument.exchange, self.instrument.symbol, reason, now)

    def _tell_join(self, out: Output, now: int) -> None:
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
        body = self._head(out, now, now) | {"type": "difference", "compared": 0, "agreed": 0, "differed": 0}
        body |= {"sequence": difference.sequence, "bbo": json_of_top(difference.bbo)}
        body["book"] = json_of_top(difference.book)
        out.event("market.quality", self.key, body)

    def _report(self, out: Output, now: int) -> None:
        self.reported_at = now
        self._tell_status(out, now, self.status.report(now))
        agreed, differed = self.check.report()
        if not agreed + differed:
            return
        body = self._head(out, now, now)
        body |= {"type": "report", "compared": agreed + differed, "agreed": agreed, "differed": differed}
        body |= {"sequence": self.orders.sequence, "bbo": [], "book": []}
        out.event("market.quality", self.key, body)

    # Markers

    def on_instrument(self, instrument: Instrument) -> None:
        """A definition. Its book stays: definitions are repeated at each connection."""
        self.instrument = instrument

    def on_marker(self, out: Output, now: int, kind: str, marker: dict[str, Any]) -> None:
        """What ingest tells of the connection, the subscriptions and the clock."""
        if kind == "renewing":
            self.seen_trades.begin(now)
        elif kind in ("renewed", "disconnected"):
            self.seen_trades.end(now)
        self._tell_status(out, now, self.status.marker(kind, marker))
        if kind == "disconnected" and "books" in marker.get("channels", CHANNELS):
            self._leave(out, now, "disconnected")

    def _tell_status(self, out: Output, now: int, events: list[dict[str, Any]]) -> None:
        for event in events:
            out.event("market.status", self.key, self._head(out, now, now) | event)

    def on_lost(self, out: Output, now: int) -> None:
        """Ingest had to drop frames of this instrument."""
        self._leave(out, now, "lost")
        self._ask(out, now, "lost")

    def _leave(self, out: Output, now: int, cause: str) -> None:
        was_live = self.orders.state == "live"
        self.orders.leave()
        if was_live or cause == "lost":
            self._open_gap(out, now, cause)

    def on_tick(self, out: Output, now: int) -> None:
        """A second of stream time: what closes, expires or is repeated by time."""
        self.seen_trades.tick(now)
        self._tell_status(out, now, self.status.second())
        orders = self.orders
        if orders.state == "live":
            if now - self.heard_at > self._silence:
                orders.fall_silent()
                self._tell_join(out, now)
                self.top = None
            elif now - self.snapshot_at >= self._snapshot_every:
                self._repeat_snapshot(out, now)
        elif orders.buffer and now - self.asked_at > ASK_AGAIN_AFTER:
            self._ask(out, now, "waiting")
        if now - self.reported_at >= REPORT_EVERY:
            self._report(out, now)

    def _repeat_snapshot(self, out: Output, now: int) -> None:
        book, sequence = self.orders.book, self.orders.sequence
        # Their numbers are for a book that takes them; these are only published.
        bids, asks = CheckedLevels(book.bids.all(), []), CheckedLevels(book.asks.all(), [])
        whole = Depth("snapshot", now, sequence, sequence, sequence, bids, asks)
        self._publish_book(out, now, whole)

    # Checkpoint

    def dump(self) -> bytes:
        return orjson.dumps(
            {
                "covered": self.covered,
                "instrument": self.instrument.model_dump(),
                "orders": self.orders.dump(),
                "check": self.check.dump(),
                "status": self.status.dump(),
                "seen_trades": self.seen_trades.dump(),
                "top": self.top and [json_of(side) for side in self.top],
                "gap": self.gap and list(self.gap),
                "times": [self.heard_at, self.snapshot_at, self.reported_at, self.asked_at],
                "lead": self.lead.dump(),
            }
        )

    @classmethod
    def load(cls, dump: bytes, settings: Settings) -> "InstrumentStream":
        state = orjson.loads(dump)
        stream = cls(Instrument(**state["instrument"]), settings)
        stream.covered = state["covered"]
        stream.orders.load(state["orders"])
        stream.check.load(state["check"])
        stream.status.load(state["status"])
        stream.seen_trades.load(state["seen_trades"])
        stream.top = state["top"] and (levels(state["top"][0]).levels, levels(state["top"][1]).levels)
        stream.gap = state["gap"] and Gap(*state["gap"])
        stream.heard_at, stream.snapshot_at, stream.reported_at, stream.asked_at = state["times"]
        stream.lead.load(state["lead"])
        return stream
