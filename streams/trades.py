"""Publish each trade once (`market.trades`), and report missing ones (`market.gaps`)."""

from typing import Any, NamedTuple

from streams.gaps import Gap, close_gap, open_gap
from streams.liquidations import publish_liquidation
from streams.normalize.messages import Liquidation, Trade, UsedUp
from streams.output import Output
from streams.status import ChannelHealth
from streams.subject import Subject
from streams.trade_candles.handler import TradeCandles
from streams.trade_ids import Range, TradeIds

GRACE = 2_000_000  # µs that a missing trade has to arrive by another socket
_MOST = 64  # holes, and reported gaps, that are kept

# Sides that were liquidated, of the taker and of the other: Deribit marks trades instead of announcing liquidations.
_OTHER = {"buy": "sell", "sell": "buy"}
_LIQUIDATED = {"liquidation_taker": (True, False), "liquidation_maker": (False, True), "liquidation_both": (True, True)}


def publish_trade(out: Output, subject: Subject, trade: Trade) -> None:
    """Publish a trade, and the liquidations that it is marked with."""
    body = out.head(subject, trade.timestamp)
    body["id"] = trade.id
    body["price"] = trade.price
    body["amount"] = trade.amount
    body["side"] = trade.side
    body["kind"] = trade.kind
    body["exchange_amount"] = trade.exchange_amount or trade.amount
    out.event("market.trades", subject.key, body)
    if trade.kind != "normal" and trade.kind in _LIQUIDATED:
        _publish_liquidations(out, subject, trade)


def _publish_liquidations(out: Output, subject: Subject, trade: Trade) -> None:
    sides = zip(_LIQUIDATED[trade.kind], (trade.side, _OTHER[trade.side]), strict=True)
    for side in [side for is_liquidated, side in sides if is_liquidated]:
        found = Liquidation("trades", trade.timestamp, side, None, trade.price, trade.amount, sampled=False)
        publish_liquidation(out, subject, found)


class Hole(NamedTuple):
    """Missing trades that another socket may still deliver. Times, µs: when it was found, the last trade before it."""

    missing: Range
    found_at: int
    since: int


class TradeHandler:
    """Deduplicates one instrument's trades and detects missing ones.

    Where ids are consecutive, a hole in them is a gap until it is filled. Elsewhere only outages are known. `outage` is
    the gap that is open while nobody delivers the channel. `candles` are told of each trade and of missing ones.
    """

    __slots__ = ("_candles", "_gaps", "_health", "_holes", "ids", "outage", "subject")

    def __init__(self, subject: Subject, health: ChannelHealth) -> None:
        self.subject = subject
        self.ids = TradeIds()
        self.outage: Gap | None = None
        self._health = health
        self._holes: list[Hole] = []
        self._gaps: list[tuple[Range, Gap]] = []
        self._candles: TradeCandles | None = None

    def pass_on_to(self, candles: TradeCandles) -> None:
        """Make candles of the trades from now on."""
        self._candles = candles

    def on_trade(self, out: Output, trade: Trade) -> None:
        """Publish a trade, unless it is a duplicate."""
        ids, health = self.ids, self._health
        if trade.first == ids.next:
            ids.next = trade.last + 1
        elif not self._is_new(out, trade):
            health.on_message(out.now, trade.timestamp)
            health.repeated += 1
            return
        health.on_message(out.now, trade.timestamp)
        publish_trade(out, self.subject, trade)
        if self._candles is not None:
            self._candles.on_trade(trade)

    def on_used_up(self, out: Output, used: UsedUp) -> None:
        """Note a number that no trade will have."""
        self._add(out, used.number, used.number)

    def _is_new(self, out: Output, trade: Trade) -> bool:
        if trade.last < 0:
            return self.ids.add_id(trade.id)
        if trade.first < 0:  # it is unknown how many fills it merges
            return self.ids.add(trade.last, trade.last)[0]
        return self._add(out, trade.first, trade.last)

    def _add(self, out: Output, first: int, last: int) -> bool:
        now, has_leapt = out.now, self.ids.is_leap(first)
        is_new, missing = self.ids.add(first, last)
        if self._candles is not None and is_new and (has_leapt or missing):
            self._candles.on_missing(out, missing)
        if missing is not None and len(self._holes) < _MOST:
            self._holes.append(Hole(missing, now, self._health.last_message_at or now))
        return is_new

    # Gaps

    def on_outage(self, out: Output, cause: str) -> None:
        """Open a gap: nobody delivers trades."""
        if self.outage is None:
            now, since = out.now, self._health.last_message_at or out.now
            gap = Gap(f"{self._key}:trades:{now}", cause, now, since, "trades")
            self.outage = open_gap(out, self.subject, gap)

    def on_return(self, out: Output) -> None:
        """Close the outage: the channel is subscribed again. Consecutive ids then show which trades are missing."""
        if self.outage is not None:
            close_gap(out, self.subject, self.outage)
            self.outage = None

    def on_tick(self, out: Output) -> None:
        """Report the holes that nothing has filled in time, and close the gaps that have been filled."""
        now = out.now
        self.ids.tick(now)
        if self.outage is not None and self._health.last_message_at > self.outage.opened_at:
            self.on_return(out)
        if self._holes:
            due = [hole for hole in self._holes if now - hole.found_at >= GRACE]
            self._holes = [hole for hole in self._holes if now - hole.found_at < GRACE]
            for hole in due:
                if self.ids.lack(hole.missing):
                    self._report(out, hole)
        if self._gaps:
            filled = [gap for missing, gap in self._gaps if not self.ids.lack(missing)]
            self._gaps = [entry for entry in self._gaps if entry[1] not in filled]
            for gap in filled:
                close_gap(out, self.subject, gap)

    def _report(self, out: Output, hole: Hole) -> None:
        first, last = map(str, hole.missing)
        gap = Gap(f"{self._key}:trades:{first}", "sequence", out.now, hole.since, "trades", first, last)
        self._gaps = [*self._gaps, (hole.missing, open_gap(out, self.subject, gap))][-_MOST:]

    @property
    def _key(self) -> str:
        return self.subject.key.decode()

    # Checkpoint

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self.ids.shift(step)
        self._holes = [hole._replace(found_at=hole.found_at + step, since=hole.since + step) for hole in self._holes]

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        gaps = [[missing, list(gap)] for missing, gap in self._gaps]
        return [self.ids.dump(), self.outage and list(self.outage), [list(hole) for hole in self._holes], gaps]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        ids, outage, holes, gaps = dump
        self.ids.load(ids)
        self.outage = outage and Gap(*outage)
        self._holes = [Hole((missing[0], missing[1]), found_at, since) for missing, found_at, since in holes]
        self._gaps = [((missing[0], missing[1]), Gap(*gap)) for missing, gap in gaps]
