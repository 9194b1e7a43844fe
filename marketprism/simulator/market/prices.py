"""The hidden price of each underlying, common to all exchanges: a seeded random walk with bounded steps."""

from collections import deque
from math import exp
from random import Random
from typing import Protocol

STEP_S = 0.01  # seconds of market time between two steps

START_PRICES = {"BTC": 86_750.0, "ETH": 3_120.0}
_MAX_STEP_BPS = 0.1  # gives about 0.6 bps per second, as on an ordinary day
_PULL = 2e-6  # share of the deviation from the start price that each step takes back, so that prices stay realistic
_HISTORY = 64  # steps


class _Walk:
    """Random walk of one price. `holds`: how many arbitrages currently keep it from moving."""

    def __init__(self, start: float, random: Random) -> None:
        self.start = start
        self.random = random
        self.bps = 0.0
        self.holds = 0
        self.history: deque[float] = deque([start] * _HISTORY, maxlen=_HISTORY)

    def step(self) -> None:
        move = self.random.uniform(-_MAX_STEP_BPS, _MAX_STEP_BPS)
        if not self.holds:
            self.bps += move - self.bps * _PULL
        self.history.append(self.start * exp(self.bps / 10_000))


class Market:
    """The hidden prices. They follow the driver's steps, not the clock, so a late driver delays all exchanges alike."""

    def __init__(self, seed: int) -> None:
        self.steps = 0
        self._walks = {name: _Walk(start, Random(f"{seed}:{name}")) for name, start in START_PRICES.items()}

    def step(self) -> None:
        """Move all prices by one step."""
        self.steps += 1
        for walk in self._walks.values():
            walk.step()

    def price(self, underlying: str, steps_ago: int = 0) -> float:
        """Return the hidden price, or what it was up to 63 steps ago."""
        return self._walks[underlying].history[-1 - steps_ago]

    def hold(self, underlying: str) -> None:
        """Stop this price until `release` is called as often, so that a running arbitrage keeps its exact spread."""
        self._walks[underlying].holds += 1

    def release(self, underlying: str) -> None:
        """Undo one `hold`."""
        self._walks[underlying].holds -= 1


class PriceSource(Protocol):
    """The hidden price of one instrument. `level`: the price about which its past moves."""

    level: float

    def price(self, steps_ago: int = 0) -> float:
        """Return the hidden price, or what it was up to 63 steps ago."""


class UnderlyingPrice:
    """The price source of all instruments but options."""

    def __init__(self, market: Market, underlying: str) -> None:
        self.level = START_PRICES[underlying]
        self._market = market
        self._underlying = underlying

    def price(self, steps_ago: int = 0) -> float:
        return self._market.price(self._underlying, steps_ago)
