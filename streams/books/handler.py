"""Publish one instrument's book and BBO: the topics `market.books` and `market.quotes`, and lines for the join."""

from typing import Any

from schemas.settings import Settings
from streams.arbitrage.lines import not_live_line, quote_line
from streams.books.order_book import Broken, OrderBook
from streams.books.quality import Difference, TruthCheck, publish_difference, top_of
from streams.books.recency import Recency
from streams.books.snapshot_requests import SnapshotRequests
from streams.gaps import Gap, close_gap, open_gap
from streams.levels import Levels, json_of
from streams.normalize.amounts import base_levels
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage, Quote, RestQuote
from streams.output import Output
from streams.status import FeedStatus
from streams.subject import Subject

_SECOND = 1_000_000


class BookHandler:
    """Keeps the book right or out of the live state, and publishes it and the exchange's BBO."""

    def __init__(self, subject: Subject, settings: Settings, status: FeedStatus) -> None:
        self.subject = subject
        self.order_book = OrderBook(subject.instrument.feed)
        self.check = TruthCheck()
        self.requests = SnapshotRequests()
        self.recency = Recency()
        self.top: tuple[Levels, Levels] | None = None  # the book's levels last published as a quote
        self.gap: Gap | None = None
        self.snapshot_at = 0
        self.is_stopped = False  # it was live when its ingest was stopped, and nothing has followed since
        self._status = status
        self._book_health, self._quote_health = status.health_of("books"), status.health_of("quotes")
        self._is_limited = False  # the full buffer has been reported
        self._gave_up = False  # the book was given up, because it was too large for a checkpoint
        self._levels = settings.quote_levels
        self._depth = settings.depth
        self._joined = settings.joined_symbol(subject.exchange, subject.symbol)  # empty: never paired
        self._joins_rest_quotes = settings.arbitrage_rest_quotes
        self._stale_after = int(settings.book_stale_after_s * _SECOND)
        self._snapshot_every = int(settings.snapshot_s * _SECOND)

    # Frames

    def on_quote(self, out: Output, quote: Quote) -> None:
        """Publish the exchange's BBO, with the live book's levels behind it."""
        now = out.now
        self._quote_health.on_message(now, quote.timestamp)
        order_book = self.order_book
        bids, asks = quote.bids, quote.asks
        fresh = self.recency.is_quote_current(quote, order_book.sequence, now)
        if order_book.state == "live":
            if quote.sequence:
                self._compared(out, self.check.on_bbo(now, quote.sequence, top_of(bids, asks)))
            if fresh and order_book.state == "live":
                self.recency.on_quote(quote, now)
                # After a move the book is up to one update late: its levels then do not belong behind that price, and
                # `behind` returns none.
                bids = bids + order_book.book.bids.behind(quote.bid, self._levels)
                asks = asks + order_book.book.asks.behind(quote.ask, self._levels)
        elif fresh:
            self.recency.on_quote(quote, now)  # an answer by REST must not go behind it
        value = self._publish_quote(out, "bbo", quote.timestamp, quote.sequence, bids, asks)
        if fresh and self._joined:  # a BBO that the book has passed must not move the join backwards
            out.join(self._joined, quote_line(order_book.state, value))

    def on_rest_quote(self, out: Output, quote: RestQuote) -> None:
        """Publish best levels from REST while the book is not live. They never make it live, nor are they compared."""
        self._status.check_not_ahead(out.now, quote.timestamp)
        if self.order_book.state == "live" or not self.recency.is_answer_current(quote, out.now):
            return
        self.recency.on_quote(quote, out.now)
        bids, asks = quote.bids[: self._levels], quote.asks[: self._levels]
        value = self._publish_quote(out, "rest", quote.timestamp, quote.sequence, bids, asks)
        is_crossed = 0 < quote.ask <= quote.bid  # as before an opening: nothing can be traded at these prices
        if self._joined and self._joins_rest_quotes and not is_crossed:
            out.join(self._joined, quote_line(self.order_book.state, value))

    def _publish_quote(
        self, out: Output, origin: str, timestamp: int, sequence: int, bids: Levels, asks: Levels
    ) -> bytes:
        subject = self.subject
        body = out.head(subject, timestamp)
        body["origin"] = origin
        body["sequence"] = sequence
        body["bids"] = json_of(base_levels(subject.instrument, bids))
        body["asks"] = json_of(base_levels(subject.instrument, asks))
        return out.event("market.quotes", subject.key, body)

    def on_message(self, out: Output, message: BookMessage) -> None:
        """Apply a book message, publish what changed, and recover from or report what does not follow."""
        order_book, since = self.order_book, self._book_health.last_message_at
        if message.kind != "seed":
            self._book_health.on_message(out.now, message.timestamp)
        was_live, was_crossed = order_book.state == "live", order_book.crossed
        outcome = order_book.take(message)
        if isinstance(outcome, Broken):
            self._on_broken(out, outcome, was_live, since)
            return
        if order_book.crossed and not was_crossed:
            self._on_crossed_snapshot(out, was_live, since)
        if not outcome:
            self._book_health.repeated += was_live
            return
        self._on_applied(out, outcome, was_live)

    def _on_applied(self, out: Output, outcome: list[BookMessage], was_live: bool) -> None:
        now, order_book = out.now, self.order_book
        self.recency.on_book(outcome[-1].timestamp, now)
        for applied in outcome:
            self._publish_book(out, applied)
        if not was_live or outcome[0].kind != "update":
            self.check.restart()
            self.recency.restart()
            self.requests.on_live(now)
            self.is_stopped = False
            self._close_gap(out)
        book, sequence = order_book.book, order_book.sequence
        bids, asks = book.bids.top(self._levels), book.asks.top(self._levels)
        if sequence:
            self._compared(out, self.check.on_book(now, sequence, top_of(bids, asks)))
        if (bids, asks) != self.top and order_book.state == "live":
            self._publish_top(out, outcome[-1].timestamp, bids, asks)

    def _publish_book(self, out: Output, message: BookMessage) -> None:
        subject = self.subject
        body = out.head(subject, message.timestamp)
        body["type"] = "update" if message.kind == "update" else "snapshot"
        body["sequence"] = message.last
        body["previous"] = message.previous if message.previous >= 0 else max(message.first - 1, 0)
        body["bids"] = json_of(base_levels(subject.instrument, message.bids.levels))
        body["asks"] = json_of(base_levels(subject.instrument, message.asks.levels))
        out.event("market.books", subject.key, body)
        if message.kind != "update":
            self.snapshot_at = out.now

    def _publish_top(self, out: Output, timestamp: int, bids: Levels, asks: Levels) -> None:
        self.top = bids, asks
        sequence = self.order_book.sequence
        value = self._publish_quote(out, "book", timestamp, sequence, bids, asks)
        if self._joined and self.recency.is_book_current(sequence, out.now):
            out.join(self._joined, quote_line("live", value))

    # Gaps

    def _on_broken(self, out: Output, broken: Broken, was_live: bool, since: int) -> None:
        if was_live or self.is_stopped:
            self._open_gap(out, broken.cause, since, broken.expected, broken.received)
        self.requests.on_down(out.now)
        if self.requests.is_due_at_once(out.now):
            self._request(out, broken.cause)

    def _on_crossed_snapshot(self, out: Output, was_live: bool, since: int) -> None:
        if was_live or self.is_stopped:
            self._open_gap(out, "crossed", since)
        self._status.publish(out, "not_tradable", ["books"], "its snapshot is crossed")

    def _open_gap(self, out: Output, cause: str, since: int = 0, expected: int = 0, received: int = 0) -> None:
        self.is_stopped = False
        self._leave_live(out)
        if self.gap is None:
            key, last_message_at = self.subject.key.decode(), self._book_health.last_message_at
            gap = Gap(f"{key}:{out.now}", cause, out.now, since or last_message_at or out.now)
            self.gap = open_gap(out, self.subject, gap, expected, received)

    def _leave_live(self, out: Output) -> None:
        self.top = None
        self.check.restart()
        self._notify_join(out)

    def _close_gap(self, out: Output) -> None:
        if self.gap is not None:
            close_gap(out, self.subject, self.gap)
            self.gap = None

    def _request(self, out: Output, reason: str) -> None:
        self.requests.on_request(out.now)
        out.request_snapshot(self.subject, reason)

    def _notify_join(self, out: Output) -> None:
        """Notify the join that the book has left the live state, so that signals based on it close."""
        if self._joined:
            subject = self.subject
            line = not_live_line(self.order_book.state, out.source(), subject.exchange, subject.symbol, out.now)
            out.join(self._joined, line)

    def on_outage(self, out: Output, cause: str) -> None:
        """Distrust the book until a snapshot arrives."""
        was_live = self.order_book.state == "live"
        self.order_book.invalidate()
        self.requests.on_down(out.now)
        if was_live or self.is_stopped or cause in ("lost", "skipped"):
            self._open_gap(out, cause)

    def on_stopped(self, out: Output) -> None:
        """Leave the live state without a gap: nobody expects updates. Those of another ingest go on."""
        if self.order_book.state == "live":
            self.order_book.mark_stale()
            self.is_stopped = True
            self._leave_live(out)

    def on_lost(self, out: Output, cause: str = "lost") -> None:
        """Open a gap and request a snapshot: messages were dropped before they were processed."""
        self.on_outage(out, cause)
        self._request(out, cause)

    def on_absent(self, out: Output) -> None:
        """Open a gap: nobody ingests the book. If ingest was only held up, the next updates go on."""
        if self.order_book.state == "live":
            self.order_book.mark_stale()
            self._open_gap(out, "absent")

    def on_delisted(self, out: Output) -> None:
        """Leave the live state without a gap: the book has ended."""
        if self.order_book.state == "live":
            self.order_book.invalidate()
            self._notify_join(out)

    def on_rescaled(self, out: Output) -> None:
        """Open a gap and request a snapshot if the book is live: its amounts are in contracts of the old size."""
        if self.order_book.state == "live":
            self.on_lost(out, "changed")

    # Quality

    def _compared(self, out: Output, difference: Difference | None) -> None:
        if difference is not None:
            publish_difference(out, self.subject, difference)
            since = self._book_health.last_message_at
            self._on_broken(out, self.order_book.distrust(), was_live=True, since=since)

    def report(self, out: Output) -> None:
        """Report how often the exchange's BBO agreed."""
        self.check.report(out, self.subject, self.order_book.sequence)

    # Time

    def on_tick(self, out: Output, is_reporting: bool) -> None:
        """Process a second of stream time."""
        if self._gave_up:
            self._gave_up = False
            self._status.publish(out, "limited", ["books"], "too large for a checkpoint")
            self.on_lost(out)
        order_book = self.order_book
        if order_book.state == "live":
            self._look_after(out, is_reporting)
        elif (order_book.buffer or order_book.crossed) and self.requests.is_due(out.now):
            self._request(out, "crossed" if order_book.crossed else "waiting")
        self._report_full_buffer(out)

    def _look_after(self, out: Output, is_reporting: bool) -> None:
        """Look after a live book. It is stale once its own channel is silent, whatever other channels deliver."""
        order_book = self.order_book
        if out.now - max(self._book_health.last_message_at, self.requests.live_since) > self._stale_after:
            order_book.mark_stale()
            self._notify_join(out)
            self.top = None
            return
        if out.now - self.snapshot_at >= self._snapshot_every and order_book.is_whole:
            self._publish_book(out, order_book.whole(out.now))
        if is_reporting or order_book.is_near_bound():
            self._look_at_depth(out)

    def _look_at_depth(self, out: Output) -> None:
        """Request a seed before the price leaves the known levels, or when fewer than `depth` are known."""
        known = self.order_book.shortage(self._depth)
        if known and self.requests.is_due_for_depth(out.now, known, self._depth):
            self.order_book.refresh()
            self._request(out, "depth")

    def _report_full_buffer(self, out: Output) -> None:
        is_limited = self.order_book.buffer.dropped > 0
        if is_limited and not self._is_limited:
            self._status.publish(out, "limited", ["books"], "updates that wait for a snapshot fill their buffer")
        self._is_limited = is_limited

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self.requests.shift(step)
        self.recency.shift(step)
        self.snapshot_at += step

    # Checkpoint

    def give_up(self) -> bool:
        """Give up the buffer, or else the book, to make the checkpoint smaller. Returns False if nothing is left."""
        if self.order_book.buffer:
            self.order_book.buffer.clear()
        elif self.order_book.state == "live":
            self.order_book.clear()
        else:
            return False
        self._gave_up = True
        return True

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "order_book": self.order_book.dump(),
            "check": self.check.dump(),
            "requests": self.requests.dump(),
            "recency": self.recency.dump(),
            "top": self.top and [json_of(side) for side in self.top],
            "gap": self.gap and list(self.gap),
            "snapshot_at": self.snapshot_at,
            "flags": [self._is_limited, self._gave_up],
            "is_stopped": self.is_stopped,
        }

    def load(self, dump: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.order_book.load(dump["order_book"])
        self.check.load(dump["check"])
        self.requests.load(dump["requests"])
        self.recency.load(dump["recency"])
        self.top = dump["top"] and (levels(dump["top"][0]).levels, levels(dump["top"][1]).levels)
        self.gap = dump["gap"] and Gap(*dump["gap"])
        self.snapshot_at = dump["snapshot_at"]
        self._is_limited, self._gave_up = dump["flags"]
        self.is_stopped = dump.get("is_stopped", False)  # checkpoints of earlier versions have none
