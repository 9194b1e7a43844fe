"""What all exchanges share: one hidden price per underlying, a seeded random walk with bounded steps."""

from collections import deque
from math import exp
from random import Random

STEP = 0.01  # seconds of market time between two steps

START = {"BTC": 86_750.0, "ETH": 3_120.0}
_STEP_BPS = 0.1  # at most, each step: about 0.6 bps a second, an ordinary day for these
_PULL = 2e-6  # back towards the start, each step, so that a week of it still looks like today
_MEMORY = 64


class _Walk:
    def __init__(self, start: float, random: Random) -> None:
        self.start = start
        self.random = random
        self.bps = 0.0
        self.holds = 0
        self.history: deque[float] = deque([start] * _MEMORY, maxlen=_MEMORY)

    def step(self) -> None:
        move = self.random.uniform(-_STEP_BPS, _STEP_BPS)
        if not self.holds:
            self.bps += move - self.bps * _PULL
        self.history.append(self.start * exp(self.bps / 10_000))


class Market:
    """The hidden prices. Steps follow the driver, not the clock: a late driver delays the market, all of it alike."""

    def __init__(self, seed: int) -> None:
        self._walks = {name: _Walk(start, Random(f"{seed}:{name}")) for name, start in START.items()}

    def step(self) -> None:
        for walk in self._walks.values():
            walk.step()

    def price(self, underlying: str, steps_ago: int = 0) -> float:
        """The hidden price as an exchange sees it that lags by so many steps (below 64)."""
        return self._walks[underlying].history[-1 - steps_ago]

    def hold(self, underlying: str) -> None:
        """Keep this price where it is until as many `release` were called: exchanges held apart stay so exactly."""
        self._walks[underlying].holds += 1

    def release(self, underlying: str) -> None:
        self._walks[underlying].holds -= 1
