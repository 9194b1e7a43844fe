"""What the simulated exchanges trade: one hidden price an underlying, and a true book an instrument."""

import random
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil, floor

Level = tuple[str, str]

_WALK_BPS = 0.3  # standard deviation of the hidden price's step
_NOISE_BPS = 1.0  # bound of each exchange's own deviation from it
_HALF_SPREAD_BPS = 0.8
_GRID_BPS = 0.5  # distance of neighbouring levels
DEEP = 12  # from this level on a frozen book may still change: nothing that is traded against


class HiddenPrice:
    """A seeded random walk. `at(delay)` is what it was some steps ago."""

    def __init__(self, price: float, seed: int) -> None:
        self._random = random.Random(seed)
        self._past = [price] * 8

    def step(self) -> None:
        price = self._past[-1] * (1 + self._random.gauss(0, _WALK_BPS) / 10_000)
        self._past = [*self._past[1:], price]

    def at(self, delay: int) -> float:
        return self._past[-1 - delay]


@dataclass(frozen=True)
class Listing:
    """One instrument as an exchange lists it. `lot` and amounts are the exchange's own units."""

    symbol: str
    exchange_symbol: str
    tick: str
    lot: str
    contract_size: str = "1"
    size: float = 1.0  # typical amount of a level


@dataclass
class Changes:
    """Changed levels since the last push: price in ticks to amount in lots, 0 for a deleted level."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)


class TrueBook:
    """The exchange's own book of one instrument. Prices are whole ticks, amounts whole lots."""

    def __init__(self, listing: Listing, hidden: HiddenPrice, delay: int, depth: int, seed: int) -> None:
        self.listing = listing
        self.sequence = 1_000_000
        self.trade_id = 5_000
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.frozen_mid = 0.0
        self._hidden = hidden
        self._delay = delay
        self._depth = depth
        self._random = random.Random(seed)
        self._noise = 0.0
        self._tick = Decimal(listing.tick)
        self._lot = Decimal(listing.lot)
        self._grid = max(1, round(hidden.at(0) * _GRID_BPS / 10_000 / float(self._tick)))
        self.move()

    @property
    def mid(self) -> float:
        return self.frozen_mid or self._hidden.at(self._delay) * (1 + self._noise / 10_000)

    def move(self) -> Changes:
        """Follow the price, change a few amounts; returns what changed."""
        self._noise = max(-_NOISE_BPS, min(_NOISE_BPS, self._noise * 0.95 + self._random.gauss(0, 0.15)))
        half = self.mid * _HALF_SPREAD_BPS / 10_000
        unit = float(self._tick) * self._grid
        bid, ask = floor((self.mid - half) / unit), ceil((self.mid + half) / unit)
        wanted = (
            [(bid - rank) * self._grid for rank in range(self._depth)],
            [(ask + rank) * self._grid for rank in range(self._depth)],
        )
        return Changes(self._shape(self.bids, wanted[0]), self._shape(self.asks, wanted[1]))

    def _shape(self, side: dict[int, int], wanted: list[int]) -> dict[int, int]:
        changed = dict.fromkeys(side.keys() - set(wanted), 0)
        first = DEEP if self.frozen_mid else 0
        nudged = {self._random.choice(wanted[first:]) for _ in range(3)} if len(wanted) > first else set()
        for price in wanted:
            if price not in side or price in nudged:
                changed[price] = self._amount()
        self._apply(side, changed)
        return changed

    def touch(self) -> Changes:
        """Another amount at the best prices."""
        if self.frozen_mid:
            return Changes()
        changes = Changes({max(self.bids): self._amount()}, {min(self.asks): self._amount()})
        self._apply(self.bids, changes.bids)
        self._apply(self.asks, changes.asks)
        return changes

    @staticmethod
    def _apply(side: dict[int, int], changed: dict[int, int]) -> None:
        for price, amount in changed.items():
            if amount:
                side[price] = amount
            else:
                side.pop(price, None)

    def _amount(self) -> int:
        return max(1, int(self._random.expovariate(1) * self.listing.size / float(self._lot)))

    def trade(self) -> tuple[str, str, str]:
        """Price, amount and taker side of a trade at the touch. It takes no liquidity: books tell that themselves."""
        self.trade_id += 1
        side = self._random.choice(("buy", "sell"))
        price = min(self.asks) if side == "buy" else max(self.bids)
        return self.price(price), self.amount(max(1, self._amount() // 4)), side

    def price(self, ticks: int) -> str:
        return format(ticks * self._tick, "f")

    def amount(self, lots: int) -> str:
        return format(lots * self._lot, "f")

    def levels(self, depth: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first, as the exchange writes them."""
        bids = sorted(self.bids.items(), reverse=True)[:depth]
        asks = sorted(self.asks.items())[:depth]
        return self.written(bids), self.written(asks)

    def written(self, side: list[tuple[int, int]]) -> list[Level]:
        return [(self.price(price), self.amount(lots)) for price, lots in side]
