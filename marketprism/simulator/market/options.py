"""Mark price, volatilities and greeks of one option, by the Black-Scholes formula without interest."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import erf, exp, log, pi, sin, sqrt

from marketprism.simulator.market.draws import draw
from marketprism.simulator.market.intervals import DAY_MS
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.prices import START_PRICES, STEP_S, Market
from schemas.symbols import parse_symbol

_YEAR_MS = 365 * DAY_MS
_SHORTEST = 1 / 8760  # years to expiry that are reckoned with at least
_TYPICAL_YEARS = 0.5  # to expiry, of the level about which the past prices move
_VOLATILITIES = (48.0, 62.0)  # at the money, in percent
_SMILE = 25.0  # percent of volatility per square of the logarithmic distance of strike and price
_SWING = 0.2  # of the volatility around its mean, in percent
_PERIOD = round(4.0 / STEP_S)  # steps for which the volatility is constant
_CYCLE = 30  # periods after which the volatility repeats
_HALF_SPREADS = (0.3, 0.9)  # between the volatilities of mark price and bid or ask, in percent
_HUNDREDTH = Decimal("0.01")
_MARK_QUANTUM = Decimal("0.000001")
_GREEK_QUANTUM = Decimal("0.0000000001")


@dataclass(frozen=True, slots=True)
class Greeks:
    """The sensitivities of an option's value: vega and rho for one percent, theta for one day."""

    delta: Decimal
    gamma: Decimal
    vega: Decimal
    theta: Decimal
    rho: Decimal


def expiry_ms(expiry: str) -> int:
    """Return the time of an expiry (`270625`) in ms: 08:00 UTC."""
    return int(datetime.strptime(f"{expiry} 08 +0000", "%y%m%d %H %z").timestamp()) * 1000


class Option:
    """The figures of one inverse option, whose price is in its base currency. They follow the hidden price."""

    def __init__(self, listing: Listing, market: Market, seed: int, start_ms: int) -> None:
        """`start_ms`: time of the market's first step."""
        symbol = parse_symbol(listing.symbol)
        self.expiry_ms = expiry_ms(symbol.expiry)
        self._market = market
        self._start_ms = start_ms
        self._underlying = symbol.base
        self._strike = float(symbol.strike)
        self._sign = 1 if symbol.option == "C" else -1
        self._volatility = _within(_VOLATILITIES, seed, symbol.base, symbol.expiry, "volatility")
        self._half_spread = _percent(_within(_HALF_SPREADS, seed, listing.feed, listing.symbol, "volatility"))
        self.level = self._formula(START_PRICES[symbol.base], self._volatility, _TYPICAL_YEARS).coins

    def price(self, steps_ago: int = 0) -> float:
        """Return the value in base currency, or what it was up to 63 steps ago."""
        return self._at(steps_ago).coins

    @property
    def mark(self) -> Decimal:
        """The mark price in base currency, with 6 decimals: the value at `mark_iv`."""
        return Decimal(self.price()).quantize(_MARK_QUANTUM)

    @property
    def mark_iv(self) -> Decimal:
        """The implied volatility of the mark price, in percent with 2 decimals."""
        return self._iv(0)

    @property
    def bid_iv(self) -> Decimal:
        """The implied volatility of the bids, in percent with 2 decimals."""
        return self.mark_iv - self._half_spread

    @property
    def ask_iv(self) -> Decimal:
        """The implied volatility of the asks, in percent with 2 decimals."""
        return self.mark_iv + self._half_spread

    @property
    def underlying_price(self) -> Decimal:
        """The price of the underlying in cents, which is the index price."""
        return Decimal(self._market.price(self._underlying)).quantize(_HUNDREDTH)

    @property
    def greeks(self) -> Greeks:
        """The sensitivities of the value in the quote currency."""
        now = self._at(0)
        return _greeks(now.delta, now.gamma, now.vega, now.theta, now.rho)

    @property
    def coin_greeks(self) -> Greeks:
        """The sensitivities of the value in base currency: delta and gamma to a relative change of the price."""
        now = self._at(0)
        delta = now.delta - now.coins
        return _greeks(
            delta, now.price * now.gamma - 2 * delta, *(each / now.price for each in (now.vega, now.theta, now.rho))
        )

    def _at(self, steps_ago: int) -> "_BlackScholes":
        elapsed_ms = (self._market.steps - steps_ago) * STEP_S * 1000
        years = max(_SHORTEST, (self.expiry_ms - self._start_ms - elapsed_ms) / _YEAR_MS)
        return self._formula(self._market.price(self._underlying, steps_ago), float(self._iv(steps_ago)), years)

    def _formula(self, price: float, percent: float, years: float) -> "_BlackScholes":
        return _BlackScholes(price, self._strike, percent / 100, years, self._sign)

    def _iv(self, steps_ago: int) -> Decimal:
        """Return the volatility of the market's time, in percent; the farther strike and price, the higher."""
        cycles = (self._market.steps - steps_ago) // _PERIOD / _CYCLE
        smile = _SMILE * log(self._strike / START_PRICES[self._underlying]) ** 2
        return _percent(self._volatility + smile + _SWING * sin(2 * pi * cycles))


class _BlackScholes:
    """The formula for one price, strike, volatility (a fraction for a year) and time. `sign`: 1 call, -1 put."""

    def __init__(self, price: float, strike: float, volatility: float, years: float, sign: int) -> None:
        deviation = volatility * sqrt(years)
        above = log(price / strike) / deviation + deviation / 2
        density = exp(-above * above / 2) / sqrt(2 * pi)
        hit = _normal(sign * (above - deviation))  # the probability that the option is exercised
        self.price = price
        self.delta = sign * _normal(sign * above)
        self.coins = self.delta - sign * hit * strike / price
        self.gamma = density / (price * deviation)
        self.vega = price * density * sqrt(years) / 100
        self.theta = -price * density * volatility / (2 * sqrt(years)) / 365
        self.rho = sign * strike * years * hit / 100


def _normal(value: float) -> float:
    return (1 + erf(value / sqrt(2))) / 2


def _within(bounds: tuple[float, float], *key: object) -> float:
    low, high = bounds
    return low + (high - low) * draw(*key)


def _percent(value: float) -> Decimal:
    return Decimal(value).quantize(_HUNDREDTH)


def _greeks(*values: float) -> Greeks:
    return Greeks(*(Decimal(value).quantize(_GREEK_QUANTUM) for value in values))
