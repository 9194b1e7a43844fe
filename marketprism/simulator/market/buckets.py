"""Sums over the trades of a stretch of time, in ticks and lots, and the store of those since the start."""

from dataclasses import dataclass, field
from decimal import Decimal

from marketprism.simulator.market.intervals import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS


@dataclass(slots=True)
class Flow:
    """What was traded. `value`: sum of ticks times lots; `base`: in base units."""

    lots: int = 0
    value: int = 0
    base: Decimal = Decimal(0)

    def add(self, lots: int, value: int, base: Decimal) -> None:
        """Add a trade, or the sum of several."""
        self.lots += lots
        self.value += value
        self.base += base


@dataclass(slots=True)
class Bucket:
    """The trades of a stretch of time. Without trades, all prices are 0."""

    open: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    trades: int = 0
    total: Flow = field(default_factory=Flow)
    bought: Flow = field(default_factory=Flow)  # by takers

    def add(self, price: int, lots: int, base: Decimal, bought: bool) -> None:
        """Add the next trade."""
        self._add_prices(price, price, price, price)
        self.trades += 1
        self.total.add(lots, price * lots, base)
        if bought:
            self.bought.add(lots, price * lots, base)

    def merge(self, later: "Bucket") -> None:
        """Add the trades of a later bucket."""
        if not later.trades:
            return
        self._add_prices(later.open, later.high, later.low, later.close)
        self.trades += later.trades
        for flow, other in ((self.total, later.total), (self.bought, later.bought)):
            flow.add(other.lots, other.value, other.base)

    def _add_prices(self, first: int, high: int, low: int, last: int) -> None:
        if not self.trades:
            self.open, self.high, self.low = first, high, low
        self.high, self.low, self.close = max(self.high, high), min(self.low, low), last


class _Tier:
    """Buckets of one width by their start in ms. The oldest are dropped."""

    def __init__(self, width_ms: int, kept: int) -> None:
        self.width_ms = width_ms
        self.buckets: dict[int, Bucket] = {}
        self._kept = kept

    def at(self, now_ms: int) -> Bucket:
        """Return the bucket of a time; create it if needed."""
        start = now_ms - now_ms % self.width_ms
        if start not in self.buckets:
            if len(self.buckets) == self._kept:
                del self.buckets[next(iter(self.buckets))]
            self.buckets[start] = Bucket()
        return self.buckets[start]

    def last_before(self, end_ms: int) -> Bucket | None:
        """Return the last bucket that ended by `end_ms`."""
        newest_first = reversed(self.buckets.items())
        return next((bucket for start, bucket in newest_first if start + self.width_ms <= end_ms), None)


class Buckets:
    """The trades since the start: by second for an hour of trading, by minute for three days, by hour for 62."""

    def __init__(self) -> None:
        self.trades = 0
        self._tiers = (
            _Tier(HOUR_MS, 62 * DAY_MS // HOUR_MS),
            _Tier(MINUTE_MS, 3 * DAY_MS // MINUTE_MS),
            _Tier(SECOND_MS, HOUR_MS // SECOND_MS),
        )

    def add(self, price: int, lots: int, base: Decimal, bought: bool, now_ms: int) -> None:
        """Add a trade."""
        self.trades += 1
        for tier in self._tiers:
            tier.at(now_ms).add(price, lots, base, bought)

    def merge_into(self, bucket: Bucket, start_ms: int, end_ms: int) -> None:
        """Add the trades from `start_ms` to before `end_ms`, both in whole seconds."""
        hours = self._tiers[0].buckets
        position = max(start_ms, min(hours, default=end_ms))
        while position < end_ms:
            tier = self._widest(position, end_ms)
            if found := tier.buckets.get(position):
                bucket.merge(found)
            position += tier.width_ms

    def last_before(self, end_ms: int) -> int | None:
        """Return the price in ticks of the last trade before `end_ms`, in whole seconds."""
        found = (tier.last_before(end_ms) for tier in reversed(self._tiers))
        return next((bucket.close for bucket in found if bucket), None)

    def _widest(self, position: int, end_ms: int) -> _Tier:
        """Return the tier of the widest buckets of which one starts at `position` and ends by `end_ms`."""
        *wider, seconds = self._tiers
        fitting = (tier for tier in wider if position % tier.width_ms == 0 and position + tier.width_ms <= end_ms)
        return next(fitting, seconds)
