"""Candles of one instrument, of any interval and any time."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from marketprism.simulator.market.buckets import Bucket, Buckets, Flow
from marketprism.simulator.market.intervals import Interval
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.past import Past


@dataclass(frozen=True, slots=True)
class Volume:
    """A traded amount: in the unit of the exchange's amounts, in base units, and in the currency of the price.

    The price of an inverse option is in its base currency, and so is `quote`.
    """

    own: Decimal
    base: Decimal
    quote: Decimal


@dataclass(frozen=True, slots=True)
class Candle:
    """The trades from `start` to before `end`, both in ms. `closed`: whether no more can follow.

    Without trades, all prices are the last price before.
    """

    start: int
    end: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    trades: int
    traded: Volume
    taker_bought: Volume
    closed: bool

    @property
    def volume(self) -> Decimal:
        """The traded amount in the unit of the exchange's amounts: contracts on derivatives."""
        return self.traded.own

    @property
    def base_volume(self) -> Decimal:
        return self.traded.base

    @property
    def quote_volume(self) -> Decimal:
        """The traded amount in the currency of the price."""
        return self.traded.quote

    @property
    def taker_buy_volume(self) -> Decimal:
        """The amount bought by takers, in the unit of `volume`."""
        return self.taker_bought.own

    @property
    def taker_buy_base_volume(self) -> Decimal:
        return self.taker_bought.base

    @property
    def taker_buy_quote_volume(self) -> Decimal:
        """The amount bought by takers, in the currency of the price."""
        return self.taker_bought.quote


class Candles:
    """The candles of one instrument: of the trades since the start, and of a made-up past before it.

    Times are in ms. Starts and ends are whole seconds, which all intervals keep.
    """

    def __init__(self, listing: Listing, past: Past, start_ms: int) -> None:
        self._listing = listing
        self._past = past
        self._start_ms = start_ms // 1000 * 1000
        self._buckets = Buckets()

    @property
    def trades(self) -> int:
        """The number of trades since the start."""
        return self._buckets.trades

    def on_trade(self, price: int, lots: int, side: Literal["buy", "sell"], now_ms: int) -> None:
        """Count a trade at a price in ticks; `side` is that of the taker."""
        self._buckets.add(price, lots, self._listing.base_amount(lots, price), side == "buy", now_ms)

    def between(self, start_ms: int, end_ms: int, now_ms: int) -> Candle:
        """Return the candle from `start_ms` to before `end_ms`."""
        bucket = Bucket()
        if start_ms < self._start_ms:
            bucket.merge(self._past.bucket(start_ms, min(end_ms, self._start_ms)))
        self._buckets.merge_into(bucket, start_ms, end_ms)
        if not bucket.trades:
            bucket.open = bucket.high = bucket.low = bucket.close = self.last_price(start_ms)
        return self._candle(bucket, start_ms, end_ms, now_ms >= end_ms)

    def current(self, interval: Interval, now_ms: int) -> Candle:
        """Return the running candle."""
        return self.between(*interval(now_ms), now_ms)

    def history(self, interval: Interval, count: int, before_ms: int, now_ms: int) -> list[Candle]:
        """Return the last `count` candles that began before `before_ms`, newest last; the running one is not closed."""
        start, end = interval(min(before_ms - 1, now_ms))
        candles = []
        for _ in range(count):
            candles.append(self.between(start, end, now_ms))
            start, end = interval(start - 1)
        return candles[::-1]

    def first(self, interval: Interval, start_ms: int, end_ms: int, count: int, now_ms: int) -> list[Candle]:
        """Return the first `count` candles that begin from `start_ms` to `end_ms`; the running one is not closed."""
        start, end = interval(start_ms)
        if start < start_ms:
            start, end = interval(end)
        candles: list[Candle] = []
        while start <= min(end_ms, now_ms) and len(candles) < count:
            candles.append(self.between(start, end, now_ms))
            start, end = interval(end)
        return candles

    def last_price(self, before_ms: int) -> int:
        """Return the last price before a time, in ticks."""
        found = self._buckets.last_before(before_ms)
        return self._past.price(min(before_ms, self._start_ms)) if found is None else found

    def _candle(self, bucket: Bucket, start_ms: int, end_ms: int, closed: bool) -> Candle:
        price = self._listing.price
        return Candle(
            start=start_ms,
            end=end_ms,
            open=price(bucket.open),
            high=price(bucket.high),
            low=price(bucket.low),
            close=price(bucket.close),
            trades=bucket.trades,
            traded=self._volume(bucket.total),
            taker_bought=self._volume(bucket.bought),
            closed=closed,
        )

    def _volume(self, flow: Flow) -> Volume:
        listing = self._listing
        own = flow.lots * listing.lot
        quote = own if listing.inverse else flow.value * listing.tick * listing.lot
        return Volume(own, flow.base, quote * listing.contract)
