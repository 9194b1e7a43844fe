"""One instrument of one exchange: trades, and realistic changes that keep its true book near the hidden price."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Literal

from marketprism.simulator.market.book import Side, TrueBook
from marketprism.simulator.market.candles import Candles
from marketprism.simulator.market.day import Day
from marketprism.simulator.market.funding import Funding
from marketprism.simulator.market.liquidations import Liquidations
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.options import Option
from marketprism.simulator.market.past import Past
from marketprism.simulator.market.positions import Positions
from marketprism.simulator.market.prices import STEP_S, Market, PriceSource, UnderlyingPrice
from marketprism.simulator.market.tape import Tape
from schemas.symbols import parse_symbol

# Maximum deviation of an exchange's mid from the hidden price, in bps. Two exchanges differ by less than 4, far below
# two taker fees (10 for perpetuals), so there is no arbitrage that was not planted.
_NOISE = 0.8
_TOLERANCE = 0.5
_MAX_SPREAD = 0.3  # bps; beyond it the market makers requote

_GAP = 0.2  # mean distance of neighbouring levels, bps
_TRANSACTIONS = 40  # per second at rate 1; half of them change the best level
_TRADE_SHARE = 0.08  # of the transactions
_MAX_QUIET_STEPS = 8  # a held book's quote changes at least this often: every 80 ms


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade, in ticks and lots. `side` is that of the taker; `sequence`: id of the book after it."""

    id: int
    price: int
    amount: int
    side: Literal["buy", "sell"]
    sequence: int


class SimulatedInstrument:
    """An instrument's book, trades and figures.

    Each step is determined by the seed, the hidden prices and the rates so far.
    """

    def __init__(
        self,
        listing: Listing,
        market: Market,
        seed: int,
        levels: int,
        lag_steps: int,
        max_id_step: int,
        start_ms: int,
    ) -> None:
        """`levels`: depth of each side; `lag_steps`, `max_id_step`: see `ExchangeServer`.

        `start_ms`: time before which the figures are made up.
        """
        self.listing = listing
        self.funding = Funding(listing, market, seed)
        is_option = parse_symbol(listing.symbol).kind == "option"
        self.option = Option(listing, market, seed, start_ms) if is_option else None
        self._source: PriceSource = self.option or UnderlyingPrice(market, listing.underlying)
        self._tick = float(listing.tick)
        self.past = Past(listing, seed, self._source.level / self._tick)
        self.candles = Candles(listing, self.past, start_ms)
        self.day = Day(self.candles)
        self.positions = Positions(listing, seed, self.past)
        self.held: Side | None = None  # a side that must not change, because of a running arbitrage
        self._random = Random(f"{seed}:{listing.feed}:{listing.symbol}")
        self._depth = min(
            levels, int(self._source.level / self._tick / 3)
        )  # the prices of an option's bids stay positive
        self._lag_steps = lag_steps
        self._noise = 0.0
        self._due = 0.0  # transactions
        self._quiet_steps = 0
        self._first_trade = self._trade_id = self._random.randrange(10**9, 6 * 10**9)
        self.liquidations = Liquidations(listing, seed, self._first_trade + 1)
        self.tape = Tape(self.past, self._first_trade + 1, start_ms)
        first = self._random.randrange(10**10, 10**11)
        self.book = TrueBook(first, (lambda: 1) if max_id_step == 1 else (lambda: self._random.randint(1, max_id_step)))
        self.requote()

    @property
    def mid(self) -> float:
        """The mid price in ticks."""
        return (self.book.bids.at(0) + self.book.asks.at(0)) / 2

    @property
    def mark(self) -> Decimal:
        """The mark price, of an option in its base currency."""
        return self.option.mark if self.option else self.funding.mark

    @property
    def trade_ids(self) -> range:
        """The ids of all trades so far, which are consecutive."""
        return range(self._first_trade + 1, self._trade_id + 1)

    def step(self, rate: float) -> Iterator[Trade | None]:
        """Run one step of the market. Yield after every transaction: its trade, or None if it was not a trade."""
        if self.held is not None:
            yield from self._held_step(rate)
            return
        self._noise = max(-_NOISE, min(_NOISE, self._noise * 0.999 + self._random.uniform(-0.05, 0.05)))
        if rate and self._must_requote():
            self.requote()
            yield None
        for _ in range(self._due_transactions(rate)):
            yield self._transact()

    def on_trade(self, trade: Trade, now_ms: int) -> None:
        """Count a trade in the figures. The exchange calls this once for each trade, with its own time."""
        self.tape.on_trade(trade.id, trade.price, trade.amount, trade.side, now_ms)
        self.candles.on_trade(trade.price, trade.amount, trade.side, now_ms)
        self.liquidations.on_trade(trade.id, trade.price, trade.amount, trade.side, now_ms)

    def requote(self) -> None:
        """Move both best levels to the price as the exchange sees it."""
        spread = self._random.choice((1, 1, 1, 2))
        bid = int(self._fair_price() - spread / 2)
        self.move(bid, bid + spread)

    def move(self, bid: int, ask: int) -> None:
        """Make these the best prices: delete better levels, and fill the distance from the previous best ones."""
        book = self.book
        for side, best in ((book.bids, bid), (book.asks, ask)):
            for price in side.better(best):
                book.set(side, price, 0)
        for side, best in ((book.bids, bid), (book.asks, ask)):
            self._fill(side, best)
            self._trim(side)

    def _fair_price(self) -> float:
        """Return the price as the exchange sees it, in ticks."""
        seen = self._source.price(self._lag_steps)
        return seen * (1 + self._noise / 10_000) / self._tick

    def _ticks(self, bps: float) -> float:
        return self._source.price() * bps / 10_000 / self._tick

    def _must_requote(self) -> bool:
        bid, ask = self.book.bids.at(0), self.book.asks.at(0)
        if ask - bid > max(3.0, self._ticks(_MAX_SPREAD)):
            return True
        return abs((bid + ask) / 2 - self._fair_price()) > max(1.0, self._ticks(_TOLERANCE))

    def _due_transactions(self, rate: float) -> int:
        self._due += rate * _TRANSACTIONS * STEP_S * self._random.uniform(0.0, 2.0)
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
        if self._random.random() < _TRADE_SHARE:
            return self._trade(side)
        for _ in range(self._random.choice((1, 1, 2, 3))):
            self._change_level(side)
        self._trim(side)
        return None

    def _change_level(self, side: Side) -> None:
        """Change, add or delete a level, with higher probability near the best price."""
        rank = min(int(self._random.expovariate(0.7)), len(side) - 2)
        price, draw = side.at(rank), self._random.random()
        if draw < 0.6:
            self.book.set(side, price, self._amount())
        elif draw < 0.8:
            worse = side.at(rank + 1)
            if abs(price - worse) > 1:
                self.book.set(side, self._random.randrange(min(price, worse) + 1, max(price, worse)), self._amount())
        elif rank:
            self.book.set(side, price, 0)

    def _trade(self, side: Side, leave: int = 0) -> Trade | None:
        """Let a taker order hit one side's best level; at least `leave` lots of it remain."""
        price, offered = side.top(1)[0]
        amount = min(offered - leave, max(1, self._amount() // 8))
        if amount <= 0:
            return None
        self.book.set(side, price, offered - amount)
        self._trim(side)
        self._trade_id += 1
        return Trade(self._trade_id, price, amount, "sell" if side is self.book.bids else "buy", self.book.sequence)

    def _held_step(self, rate: float) -> Iterator[Trade | None]:
        """Run one step of a held book: change only amounts of the other side, the best often, to keep quotes fresh."""
        other = self.book.asks if self.held is self.book.bids else self.book.bids
        self._quiet_steps += 1
        for _ in range(max(self._due_transactions(rate), int(self._quiet_steps >= _MAX_QUIET_STEPS))):
            self._quiet_steps = 0
            if self._random.random() < _TRADE_SHARE:
                yield self._trade(other, leave=1)
                continue
            rank = min(int(self._random.expovariate(2.0)), len(other) - 1)
            self.book.set(other, other.at(rank), self._amount())
            if rank:
                self.book.set(other, other.at(0), self._amount())
            yield None
