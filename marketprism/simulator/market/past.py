"""Prices and trades before the start of the simulation, as pure functions of seed, instrument and time.

The price runs straight from knot to knot, one a minute. Trades are counted from the epoch, so that the trades and
amounts of any stretch of time are differences of two counts: shorter candles add up to the longer ones.
"""

from functools import lru_cache
from math import ceil, floor, pi, sin
from typing import Literal

from marketprism.simulator.market.buckets import Bucket, Flow
from marketprism.simulator.market.draws import draw
from marketprism.simulator.market.intervals import MINUTE_MS
from marketprism.simulator.market.listings import Listing

_KNOT_MS = 25_000  # after the full minute: within each candle, so that its high and low differ from open and close
_SWINGS = ((31 * 60, 0.008), (5.3 * 60, 0.004))  # minutes and share of the price; common to all exchanges
_JITTER = 0.0004  # share of the price by which neighbouring knots differ at most
_GOLDEN = 0.6180339887498949  # its multiples modulo 1 look random
_TRADE_RATES = (0.5, 3.0)  # trades per second
_TIDES = ((26.5 * 3600, 0.6), (47 * 60, 0.3))  # seconds and share of the trade rate, less than 1 in sum
_TIDES_MS = ceil(sum(length * share for length, share in _TIDES) / (2 * pi)) * 1000  # they shift a trade by at most
_AMOUNT_CYCLE = 97  # trades
_AMOUNT_SWING = 0.7  # share of the mean amount
_MIN_AMOUNT = 7  # mean lots of a trade, so that with its swing each trade has a lot at least
_BLOCK = 60  # knots whose extremes are cached
_CACHED = 9_000  # blocks: a year


class Past:
    """The past of one instrument. `level`: the price in ticks about which it moves."""

    def __init__(self, listing: Listing, seed: int, level: float) -> None:
        key = (seed, listing.feed, listing.symbol)
        self._listing = listing
        self._level = level
        self._swings = [
            (2 * pi / minutes, share, 2 * pi * draw(seed, listing.underlying, minutes)) for minutes, share in _SWINGS
        ]
        self._jitter_phase = draw(*key, "jitter")
        low, high = _TRADE_RATES
        self._rate = low + (high - low) * draw(*key, "trades")
        self._tide_phases = [2 * pi * draw(seed, seconds) for seconds, _ in _TIDES]
        self._amount = max(_MIN_AMOUNT, round(listing.typical_lots / 8))
        self._amount_phases = {side: 2 * pi * draw(*key, side) for side in ("buy", "sell")}
        self._block = lru_cache(_CACHED)(self._block_extremes)
        self.bucket = lru_cache(64)(self._bucket)  # running candles ask for the same again and again

    def price(self, at_ms: int) -> int:
        """Return the price at a time, in ticks."""
        knot, rest = divmod(at_ms - _KNOT_MS, MINUTE_MS)
        before, after = self._knot(knot), self._knot(knot + 1)
        return before + (after - before) * rest // MINUTE_MS

    def _bucket(self, start_ms: int, end_ms: int) -> Bucket:
        """Return the trades from `start_ms` to before `end_ms`; it is shared, so leave it as it is."""
        first, last = self.trades(start_ms), self.trades(end_ms)
        if first >= last:
            return Bucket()
        opened, closed = self.price(start_ms), self.price(end_ms)
        low, high = self._extremes(start_ms, end_ms)
        mean = (opened + high + low + closed) // 4
        bought = self._lots("buy", (last + 1) // 2) - self._lots("buy", (first + 1) // 2)
        sold = self._lots("sell", last // 2) - self._lots("sell", first // 2)
        flows = (self._flow(bought + sold, mean), self._flow(bought, mean))
        return Bucket(opened, high, low, closed, last - first, *flows)

    def _flow(self, lots: int, price: int) -> Flow:
        return Flow(lots, lots * price, self._listing.base_amount(lots, price))

    def _knot(self, number: int) -> int:
        share = sum(share * sin(number * turn + phase) for turn, share, phase in self._swings)
        jitter = _JITTER * ((number * _GOLDEN + self._jitter_phase) % 1 - 0.5)
        return round(self._level * (1 + share + jitter))

    def _extremes(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Return the lowest and the highest price between two times."""
        knot, last = ceil((start_ms - _KNOT_MS) / MINUTE_MS), floor((end_ms - _KNOT_MS) / MINUTE_MS)
        found = [self.price(start_ms), self.price(end_ms)]
        while knot <= last:
            if knot % _BLOCK == 0 and knot + _BLOCK - 1 <= last:
                found += self._block(knot)
                knot += _BLOCK
            else:
                found.append(self._knot(knot))
                knot += 1
        return min(found), max(found)

    def _block_extremes(self, first: int) -> tuple[int, int]:
        knots = [self._knot(number) for number in range(first, first + _BLOCK)]
        return min(knots), max(knots)

    def trades(self, at_ms: int) -> int:
        """Return the number of trades from the epoch to a time."""
        seconds = at_ms / 1000
        tides = (
            share * length / (2 * pi) * sin(2 * pi * seconds / length + phase)
            for (length, share), phase in zip(_TIDES, self._tide_phases, strict=True)
        )
        return floor(self._rate * (seconds + sum(tides)))

    def time_of(self, index: int, since_ms: int = 0) -> int:
        """Return the time of a trade, ms, given how many came before it; `since_ms`: a time not after it, if known."""
        low = since_ms or max(int(index / self._rate * 1000) - _TIDES_MS, 0)
        step = 1 << 10
        while self.trades(low + step) <= index:
            low, step = low + step, 2 * step
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.trades(middle) <= index else (low, middle)
        return low

    def amount_of(self, index: int) -> tuple[Literal["buy", "sell"], int]:
        """Return the taker's side and the lots of a trade, given how many came before it: the sides take turns."""
        side: Literal["buy", "sell"] = "sell" if index % 2 else "buy"
        turn = index // 2
        return side, self._lots(side, turn + 1) - self._lots(side, turn)

    def _lots(self, side: str, trades: int) -> int:
        """Return the lots of the first `trades` trades of one side."""
        turn = 2 * pi / _AMOUNT_CYCLE
        swing = _AMOUNT_SWING / turn * sin(trades * turn + self._amount_phases[side])
        return self._amount * trades + floor(self._amount * swing)
