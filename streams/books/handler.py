"""One instrument's book and BBO to `market.books`, `market.quotes`, `market.gaps` and `market.quality`."""

from typing import Any

from schemas.instruments import Instrument
from schemas.settings import Settings
from streams.arbitrage.lines import not_live_line, quote_line
from streams.books.gaps import Gap
from streams.books.order_book import Broken, OrderBook
from streams.books.quality import TruthCheck, json_of_top, top_of
from streams.books.recency import Recency
from streams.books.snapshot_requests import SnapshotRequests
from streams.levels import Levels, json_of
from streams.normalize.amounts import base_levels
from streams.normalize.book_sides import levels
from streams.normalize.messages import BookMessage, Quote
from streams.output import Output
from streams.status import FeedStatus

_SECOND = 1_000_000


class BookHandler:
    """Keeps the book right or out of the live state, and publishes what it and the exchange's BBO say."""

    def __init__(self, instrument: Instrument, settings: Settings, status: FeedStatus) -> None:
        self.instrument = instrument
        self.key = instrument.key.encode()
        self.status = status
        self.orders = OrderBook(instrument.feed)
        self.check = TruthCheck()
        self.requests = SnapshotRequests()
        self.lead = Recency()
        self.top: tuple[Levels, Levels] | None = None  # the book's levels last published as a quote
        self.gap: Gap | None = None
        self.snapshot_at = 0
        self._is_limited = False  # reported: the buffer is full
        self._gave_up = False  # the book, for it was too large for a checkpoint
        self._levels = settings.quote_levels
        self._depth = settings.depth
        self._joined = settings.joined_symbol(instrument.exchange, instrument.symbol)  # empty: never paired
        self._silence = int(settings.book_stale_after_s * _SECOND)
        self._snapshot_every = int(settings.snapshot_s * _SECOND)

    # Frames

    def on_quote(self, out: Output, now: int, quote: Quote) -> None:
        """Publish the exchange's BBO, with the live book's levels behind it."""
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
            out.join(self._joined, quote_line(orders.state, value))

    def _publish_quote(
        self, out: Output, now: int, origin: str, timestamp: int, sequence: int, bids: Levels, asks: Levels
    ) -> bytes:
        body = out.head(self.instrument, timestamp, now)
        body["origin"] = origin
        body["sequence"] = sequence
        body["bids"] = json_of(base_levels(self.instrument, bids))
        body["asks"] = json_of(base_levels(self.instrument, asks))
        return out.event("market.quotes", self.key, body)

    def on_depth(self, out: Output, now: int, message: BookMessage) -> None:
        """Apply a book message, publish what changed, and heal or report what does not follow."""
        orders, since = self.orders, self.status.books.last_message_at
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

    def _publish_book(self, out: Output, now: int, message: BookMessage) -> None:
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
            out.join(self._joined, quote_line("live", value))

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
        self._publish_status(out, now, "not_tradable", "its snapshot is crossed")

    def _open_gap(
        self, out: Output, now: int, cause: str, since: int = 0, expected: int = 0, received: int = 0
    ) -> None:
        self.top = None
        self.check.restart()
        self._notify_join(out, now)
        if self.gap is not None:
            return
        self.gap = Gap(f"{self.instrument.key}:{now}", cause, now, since or self.status.books.last_message_at or now)
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
        of = self.instrument
        out.join(self._joined, not_live_line(self.orders.state, out.source(), of.exchange, of.symbol, now))

    def leave(self, out: Output, now: int, cause: str) -> None:
        """Believe nothing until a snapshot comes."""
        was_live = self.orders.state == "live"
        self.orders.leave()
        self.requests.on_down(now)
        if was_live or cause in ("lost", "skipped"):
            self._open_gap(out, now, cause)

    def on_lost(self, out: Output, now: int, cause: str = "lost") -> None:
        """Messages were dropped before they were processed."""
        self.leave(out, now, cause)
        self._ask(out, now, cause)

    def on_absent(self, out: Output, now: int) -> None:
        """Nobody brings the book. Should ingest only have been held up, updates that follow go on."""
        if self.orders.state == "live":
            self.orders.fall_silent()
            self._open_gap(out, now, "absent")

    def on_delisted(self, out: Output, now: int) -> None:
        """The book has ended; that is no gap."""
        if self.orders.state == "live":
            self.orders.leave()
            self._notify_join(out, now)

    def on_rescaled(self, out: Output, now: int) -> None:
        """Amounts count in other units from now on, and those held in the old ones."""
        if self.orders.state == "live":
            self.on_lost(out, now, "changed")

    # Truth check

    def _compared(self, out: Output, now: int, difference: Any) -> None:
        if difference is None:
            return
        body = out.head(self.instrument, now, now) | {"type": "difference", "compared": 0, "agreed": 0, "differed": 0}
        body |= {"sequence": difference.sequence, "bbo": json_of_top(difference.bbo)}
        body["book"] = json_of_top(difference.book)
        out.event("market.quality", self.key, body)
        since = self.status.books.last_message_at
        self._on_broken(out, now, self.orders.distrust(), was_live=True, since=since)

    def report(self, out: Output, now: int) -> None:
        """How often the exchange's BBO agreed since the last report."""
        agreed, differed = self.check.report()
        if not agreed + differed:
            return
        body = out.head(self.instrument, now, now)
        body |= {"type": "report", "compared": agreed + differed, "agreed": agreed, "differed": differed}
        body |= {"sequence": self.orders.sequence, "bbo": [], "book": []}
        out.event("market.quality", self.key, body)

    # Time

    def on_tick(self, out: Output, now: int, is_reporting: bool) -> None:
        """A second of stream time: what expires or is repeated by it."""
        if self._gave_up:
            self._gave_up = False
            self._publish_status(out, now, "limited", "too large for a checkpoint")
            self.on_lost(out, now)
        orders = self.orders
        if orders.state == "live":
            self._look_after(out, now, is_reporting)
        elif (orders.buffer or orders.crossed) and self.requests.is_due(now):
            self._ask(out, now, "crossed" if orders.crossed else "waiting")
        self._report_full_buffer(out, now)

    def _look_after(self, out: Output, now: int, is_reporting: bool) -> None:
        """A live book: stale when its channel is silent, whatever else of the instrument comes."""
        orders = self.orders
        if now - max(self.status.books.last_message_at, self.requests.live_since) > self._silence:
            orders.fall_silent()
            self._notify_join(out, now)
            self.top = None
            return
        if now - self.snapshot_at >= self._snapshot_every and orders.is_whole:
            self._repeat_snapshot(out, now)
        if is_reporting or orders.is_near_bound():
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
            self._publish_status(out, now, "limited", "updates that wait for a snapshot fill their buffer")
        self._is_limited = is_limited

    def _repeat_snapshot(self, out: Output, now: int) -> None:
        self._publish_book(out, now, self.orders.whole(now))

    def _publish_status(self, out: Output, now: int, kind: str, reason: str) -> None:
        event = self.status.event(kind, ["books"], reason)
        out.event("market.status", self.key, out.head(self.instrument, now, now) | event)

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self.requests.shift(step)
        self.lead.shift(step)
        self.snapshot_at += step

    # Checkpoint

    def give_up(self) -> bool:
        """Hold less, for a checkpoint: first the buffer goes, then the book. False: there is nothing left."""
        if self.orders.buffer:
            self.orders.buffer.clear()
        elif self.orders.state == "live":
            self.orders.clear()
        else:
            return False
        self._gave_up = True
        return True

    def dump(self) -> dict[str, Any]:
        return {
            "orders": self.orders.dump(),
            "check": self.check.dump(),
            "requests": self.requests.dump(),
            "lead": self.lead.dump(),
            "top": self.top and [json_of(side) for side in self.top],
            "gap": self.gap and list(self.gap),
            "snapshot_at": self.snapshot_at,
            "flags": [self._is_limited, self._gave_up],
        }

    def load(self, dump: dict[str, Any]) -> None:
        self.orders.load(dump["orders"])
        self.check.load(dump["check"])
        self.requests.load(dump["requests"])
        self.lead.load(dump["lead"])
        self.top = dump["top"] and (levels(dump["top"][0]).levels, levels(dump["top"][1]).levels)
        self.gap = dump["gap"] and Gap(*dump["gap"])
        self.snapshot_at = dump["snapshot_at"]
        self._is_limited, self._gave_up = dump["flags"]
