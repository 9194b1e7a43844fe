"""One instrument's trades to `market.trades`, each once, and what is missing of them to `market.gaps`."""

from typing import Any, NamedTuple

from schemas.instruments import Instrument
from streams.books.gaps import Gap
from streams.normalize.messages import Trade, UsedUp
from streams.output import Output
from streams.status import ChannelHealth
from streams.trade_ids import Range, TradeIds

GRACE = 2_000_000  # µs that a missing trade may take to come by another socket
_MOST = 64  # holes, and reported gaps, that are remembered


class Hole(NamedTuple):
    """Missing trades that another socket may still deliver. Times, µs: when it was found, the last trade before it."""

    missing: Range
    found_at: int
    since: int


class TradeHandler:
    """Where ids are consecutive a hole in them is a gap until it is filled; elsewhere only an outage is known.

    `outage`: the gap that is open while nothing carries the channel.
    """

    __slots__ = ("_gaps", "_health", "_holes", "ids", "instrument", "key", "outage")

    def __init__(self, instrument: Instrument, health: ChannelHealth) -> None:
        self.instrument = instrument
        self.key = instrument.key.encode()
        self.ids = TradeIds()
        self.outage: Gap | None = None
        self._health = health
        self._holes: list[Hole] = []
        self._gaps: list[tuple[Range, Gap]] = []

    def on_trade(self, out: Output, now: int, trade: Trade) -> None:
        """Publish a trade that has not come before."""
        ids, health = self.ids, self._health
        if trade.first == ids.next:
            ids.next = trade.last + 1
        elif not self._is_new(trade, now):
            health.heard(now, trade.timestamp)
            health.repeated += 1
            return
        health.heard(now, trade.timestamp)
        body = out.head(self.instrument, trade.timestamp, now)
        body["id"] = trade.id
        body["price"] = trade.price
        body["amount"] = trade.amount
        body["side"] = trade.side
        body["kind"] = trade.kind
        body["exchange_amount"] = trade.exchange_amount or trade.amount
        out.event("market.trades", self.key, body)

    def on_used_up(self, now: int, used: UsedUp) -> None:
        """Note a number that no trade will have."""
        self._add(used.number, used.number, now)

    def _is_new(self, trade: Trade, now: int) -> bool:
        if trade.last < 0:
            return self.ids.add_id(trade.id)
        if trade.first < 0:  # what is missing before it cannot be told
            return self.ids.add(trade.last, trade.last)[0]
        return self._add(trade.first, trade.last, now)

    def _add(self, first: int, last: int, now: int) -> bool:
        is_new, missing = self.ids.add(first, last)
        if missing is not None and len(self._holes) < _MOST:
            self._holes.append(Hole(missing, now, self._health.last_message_at or now))
        return is_new

    # Gaps

    def on_away(self, out: Output, now: int, cause: str) -> None:
        """Open a gap: nothing brings trades."""
        if self.outage is None:
            since = self._health.last_message_at or now
            self.outage = self._open(out, now, Gap(f"{self.instrument.key}:trades:{now}", cause, now, since, "trades"))

    def on_back(self, out: Output, now: int) -> None:
        """Close it: the channel is subscribed again. Where ids are consecutive, they tell what was missed."""
        if self.outage is not None:
            self._close(out, now, self.outage)
            self.outage = None

    def tick(self, out: Output, now: int) -> None:
        """Report holes that nothing has filled in time, and gaps that something has."""
        self.ids.tick(now)
        if self.outage is not None and self._health.last_message_at > self.outage.opened_at:
            self.on_back(out, now)
        if self._holes:
            due = [hole for hole in self._holes if now - hole.found_at >= GRACE]
            self._holes = [hole for hole in self._holes if now - hole.found_at < GRACE]
            for hole in due:
                if self.ids.miss(hole.missing):
                    self._report(out, now, hole)
        if self._gaps:
            filled = [gap for missing, gap in self._gaps if not self.ids.miss(missing)]
            self._gaps = [entry for entry in self._gaps if entry[1] not in filled]
            for gap in filled:
                self._close(out, now, gap)

    def _report(self, out: Output, now: int, hole: Hole) -> None:
        first, last = map(str, hole.missing)
        gap = Gap(f"{self.instrument.key}:trades:{first}", "sequence", now, hole.since, "trades", first, last)
        self._gaps = [*self._gaps, (hole.missing, self._open(out, now, gap))][-_MOST:]

    def _open(self, out: Output, now: int, gap: Gap) -> Gap:
        out.event("market.gaps", self.key, out.head(self.instrument, now, now) | gap.opened())
        return gap

    def _close(self, out: Output, now: int, gap: Gap) -> None:
        out.event("market.gaps", self.key, out.head(self.instrument, now, now) | gap.closed(now))

    # Checkpoint

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self.ids.shift(step)
        self._holes = [hole._replace(found_at=hole.found_at + step, since=hole.since + step) for hole in self._holes]

    def dump(self) -> list[Any]:
        gaps = [[missing, list(gap)] for missing, gap in self._gaps]
        return [self.ids.dump(), self.outage and list(self.outage), [list(hole) for hole in self._holes], gaps]

    def load(self, dump: list[Any]) -> None:
        ids, outage, holes, gaps = dump
        self.ids.load(ids)
        self.outage = outage and Gap(*outage)
        self._holes = [Hole((missing[0], missing[1]), found_at, since) for missing, found_at, since in holes]
        self._gaps = [((missing[0], missing[1]), Gap(*gap)) for missing, gap in gaps]
