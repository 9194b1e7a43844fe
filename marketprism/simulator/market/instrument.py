"""One instrument of one exchange: its true book, kept about the hidden price by realistic changes, and its trades."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from marketprism.simulator.market.book import Side, TrueBook
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.prices import STEP, Market

# Bounds of what an exchange's mid may be away from the hidden price, in bps. Two exchanges together stay below 4,
# far below two taker fees (10 for perpetuals), so no arbitrage arises that nobody planted.
_NOISE = 0.8
_TOLERANCE = 0.5
_WIDEST = 0.3  # the spread, bps, from which the market makers quote anew

_GAP = 0.2  # mean distance of neighbouring levels, bps
_TRANSACTIONS = 40  # a second at rate 1; half of them change the best level
_TRADES = 0.08  # share of the transactions
_REFRESH = 8  # steps after which a held book's quote changes at the latest: 80 ms


@dataclass(frozen=True, slots=True)
class Trade:
    id: int
    price: int
    amount: int
    side: Literal["buy", "sell"]
    sequence: int


class SimulatedInstrument:
    """Deterministic for a seed: its n-th step depends on the seed, the hidden prices and the rate only."""

    def __init__(self, listing: Listing, market: Market, seed: int, levels: int, delay: int, stride: int) -> None:
        self.listing = listing
        self.held: Side | None = None  # the side that keeps every level while an arbitrage is planted
        self._market = market
        self._random = Random(f"{seed}:{listing.feed}:{listing.symbol}")
        self._depth = levels
        self._delay = delay
        self._noise = 0.0
        self._due = 0.0
        self._quiet = 0
        self._first_trade = self._trade_id = self._random.randrange(10**9, 6 * 10**9)
        first = self._random.randrange(10**10, 10**11)
        self.book = TrueBook(first, (lambda: 1) if stride == 1 else (lambda: self._random.randint(1, stride)))
        self._tick = float(listing.tick)
        self.requote()

    @property
    def mid(self) -> float:
        """In ticks."""
        return (self.book.bids.at(0) + self.book.asks.at(0)) / 2

    @property
    def trade_ids(self) -> range:
        """Of all trades so far: ids have no holes."""
        return range(self._first_trade + 1, self._trade_id + 1)

    def step(self, rate: float) -> Iterator[Trade | None]:
        """One step of the market; yields after each transaction, with its trade if it was one."""
        if self.held is not None:
            yield from self._held_step(rate)
            return
        self._noise = max(-_NOISE, min(_NOISE, self._noise * 0.999 + self._random.uniform(-0.05, 0.05)))
        if rate and self._astray():
            self.requote()
            yield None
        for _ in range(self._count(rate)):
            yield self._transact()

    def requote(self) -> None:
        """Both best levels to where the exchange sees the price."""
        spread = self._random.choice((1, 1, 1, 2))
        bid = int(self._centre() - spread / 2)
        self.move(bid, bid + spread)

    def move(self, bid: int, ask: int) -> None:
        """Make these the best prices: better levels go, the way from the old best ones fills up."""
        book = self.book
        for side, best in ((book.bids, bid), (book.asks, ask)):
            for price in side.better(best):
                book.set(side, price, 0)
        for side, best in ((book.bids, bid), (book.asks, ask)):
            self._fill(side, best)
            self._trim(side)

    def _centre(self) -> float:
        seen = self._market.price(self.listing.underlying, self._delay)
        return seen * (1 + self._noise / 10_000) / self._tick

    def _ticks(self, bps: float) -> float:
        return self._market.price(self.listing.underlying) * bps / 10_000 / self._tick

    def _astray(self) -> bool:
        bid, ask = self.book.bids.at(0), self.book.asks.at(0)
        if ask - bid > max(3.0, self._ticks(_WIDEST)):
            return True
        return abs((bid + ask) / 2 - self._centre()) > max(1.0, self._ticks(_TOLERANCE))

    def _count(self, rate: float) -> int:
        self._due += rate * _TRANSACTIONS * STEP * self._random.uniform(0.0, 2.0)
        count = int(self._due)
        self._due -= count
        return count

    def _amount(self) -> int:
        return max(1, int(self._random.lognormvariate(-0.5, 1.0) * self.listing.typical_lots))

    def _gap(self) -> int:
        return 1 + int(self._random.expovariate(1 / self._ticks(_GAP)))

    def _fill(self, side: Side, best: int) -> None:
        old = side.at(0) if len(side) else None
        price = best
        while price != old and (old is None or side.sign * price > side.sign * old) and len(side) < 2 * self._depth:
            self.book.set(side, price, self._amount())
            price -= side.sign * self._gap()

    def _trim(self, side: Side) -> None:
        while len(side) > self._depth:
            self.book.set(side, side.at(-1), 0)
        while len(side) < self._depth:
            self.book.set(side, side.at(-1) - side.sign * self._gap(), self._amount())

    def _transact(self) -> Trade | None:
        side = self._random.choice((self.book.bids, self.book.asks))
        if self._random.random() < _TRADES:
            return self._trade(side)
        for _ in range(self._random.choice((1, 1, 2, 3))):
            self._churn(side)
        self._trim(side)
        return None

    def _churn(self, side: Side) -> None:
        """An order comes, changes or goes, more likely near the best price."""
        rank = min(int(self._random.expovariate(0.7)), len(side) - 2)
        price, draw = side.at(rank), self._random.random()
        if draw < 0.6:
            self.book.set(side, price, self._amount())
        elif draw < 0.8:
            behind = side.at(rank + 1)
            if abs(price - behind) > 1:
                self.book.set(side, self._random.randrange(min(price, behind) + 1, max(price, behind)), self._amount())
        elif rank:
            self.book.set(side, price, 0)

    def _trade(self, side: Side, leave: int = 0) -> Trade | None:
        """A taker order hits one side's best level; at least `leave` of it stays."""
        price, offered = side.top(1)[0]
        amount = min(offered - leave, max(1, self._amount() // 8))
        if amount <= 0:
            return None
        self.book.set(side, price, offered - amount)
        self._trim(side)
        self._trade_id += 1
        return Trade(self._trade_id, price, amount, "sell" if side is self.book.bids else "buy", self.book.sequence)

    def _held_step(self, rate: float) -> Iterator[Trade | None]:
        """Held: only amounts of the other side move, its best one often enough that the quote stays young."""
        other = self.book.asks if self.held is self.book.bids else self.book.bids
        self._quiet += 1
        for _ in range(max(self._count(rate), int(self._quiet >= _REFRESH))):
            self._quiet = 0
            if self._random.random() < _TRADES:
                yield self._trade(other, leave=1)
                continue
            rank = min(int(self._random.expovariate(2.0)), len(other) - 1)
            self.book.set(other, other.at(rank), self._amount())
            if rank:
                self.book.set(other, other.at(0), self._amount())
            yield None
