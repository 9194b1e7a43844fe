"""Index price, mark price and funding rate of one instrument, as functions of the market's time and hidden prices."""

from decimal import Decimal
from math import pi, sin
from random import Random

from marketprism.simulator.market.draws import draw
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.prices import STEP_S, Market
from schemas.symbols import parse_symbol

INTERVAL_HOURS = 8  # between two payments
_INTERVAL_MS = INTERVAL_HOURS * 3_600_000
_PERIOD = round(4.0 / STEP_S)  # steps for which basis and rate are constant
_CYCLE = 30  # periods after which the basis repeats
_MEAN = 1.0  # maximum of the mean basis, bps
_SWING = (3.0, 5.0)  # of the basis around its mean, bps; more than the mean, so that the rate is sometimes negative
_DAMPERS = {"deribit": Decimal("0.00025")}  # premiums within this range give rate 0
_CENT = Decimal("0.01")
_RATE_QUANTUM = Decimal("0.00000001")


def next_funding_at(now_ms: int) -> int:
    """Return the time of the next payment, in ms: the next multiple of 8 h."""
    return (now_ms // _INTERVAL_MS + 1) * _INTERVAL_MS


class Funding:
    """Index price, mark price and funding rate of one instrument. Exchanges send these values exactly as they are."""

    def __init__(self, listing: Listing, market: Market, seed: int) -> None:
        self._key = f"{seed}:{listing.feed}:{listing.symbol}:funding"
        random = Random(self._key)
        kind = parse_symbol(listing.symbol).kind
        self.is_derivative = kind != "spot"
        self.is_perpetual = kind == "perp"
        self._market = market
        self._underlying = listing.underlying
        self._mean = random.uniform(-_MEAN, _MEAN)
        self._swing = random.uniform(*_SWING)
        self._phase = random.random()
        self._damper = _DAMPERS.get(listing.feed, Decimal(0))

    @property
    def index(self) -> Decimal:
        """The hidden price of the underlying in cents; all instruments of one underlying have the same."""
        return Decimal(self._market.price(self._underlying)).quantize(_CENT)

    @property
    def mark(self) -> Decimal:
        """The index price and the basis, in cents; of a spot instrument the index price."""
        return (self.index * (1 + self._basis())).quantize(_CENT)

    @property
    def rate(self) -> Decimal | None:
        """The rate of the current 8 h, as a fraction with 8 digits; None unless the instrument is a perpetual."""
        return self._damped(self._basis()) if self.is_perpetual else None

    @property
    def mean_rate(self) -> Decimal | None:
        """The rate at the mean basis, which is about the mean rate; None unless the instrument is a perpetual."""
        return self._damped(_fraction(self._mean)) if self.is_perpetual else None

    def settled(self, funding_ms: int) -> Decimal | None:
        """Return the rate that was settled at a time, as a fraction with 8 digits; None unless it is a perpetual."""
        if not self.is_perpetual:
            return None
        return self._damped(_fraction(self._mean + self._swing * (2 * draw(self._key, funding_ms) - 1)))

    def _basis(self) -> Decimal:
        """Return the relative distance of the mark price from the index price."""
        if not self.is_derivative:
            return Decimal(0)
        cycles = self._market.steps // _PERIOD / _CYCLE + self._phase
        return _fraction(self._mean + self._swing * sin(2 * pi * cycles))

    def _damped(self, premium: Decimal) -> Decimal:
        return premium - max(-self._damper, min(self._damper, premium))


def _fraction(bps: float) -> Decimal:
    return Decimal(bps / 10_000).quantize(_RATE_QUANTUM)
