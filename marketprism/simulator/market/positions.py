"""Open positions: open interest, and the shares and trades of longs and shorts, as pure functions of the time."""

from dataclasses import dataclass
from decimal import Decimal
from math import pi, sin

from marketprism.simulator.market.draws import draw
from marketprism.simulator.market.intervals import MINUTE_MS
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.past import Past

_OPEN_LEVELS = (2_000, 9_000)  # open interest, in usual amounts of one level
_OPEN_SWING = 0.03  # of the open interest, as a share
_OPEN_CYCLE = 400  # minutes
_OPEN_JITTER = 0.001  # share by which two minutes differ at least in most cases
_SHARES = (3_500, 6_500)  # of the longs, in 1/10000
_VOLUMES = (1_000_000, 9_000_000)  # in 1/10000


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Open interest, in the unit of the exchange's amounts, in base units, and in the currency of the price."""

    own: Decimal
    base: Decimal
    quote: Decimal


class Positions:
    """The open positions of one instrument, and of the currencies of its feed. Any past time can be asked for again."""

    def __init__(self, listing: Listing, seed: int, past: Past) -> None:
        self._listing = listing
        self._past = past
        self._seed = seed
        key = (seed, listing.feed, listing.symbol, "open interest")
        low, high = _OPEN_LEVELS
        self._lots = listing.typical_lots * (low + (high - low) * draw(*key))
        self._key = key

    def open_interest(self, at_ms: int) -> OpenInterest:
        """Return the open interest, which changes every minute; its values are at the price of `Past`."""
        minute = at_ms // MINUTE_MS
        swing = _OPEN_SWING * sin(2 * pi * minute / _OPEN_CYCLE) + _OPEN_JITTER * draw(*self._key, minute)
        lots, listing = round(self._lots * (1 + swing)), self._listing
        price = self._past.price(minute * MINUTE_MS)
        own, base = lots * listing.lot, listing.base_amount(lots, price)
        return OpenInterest(own, base, own * listing.contract if listing.inverse else base * listing.price(price))

    def shares(self, name: str, scope: str, bucket_ms: int) -> tuple[Decimal, Decimal]:
        """Return the shares of longs and shorts, with 4 decimals and 1 in sum.

        `name`: a symbol or a currency; `scope`: whose positions and which period, such as "top accounts 5m";
        `bucket_ms`: start of the period.
        """
        long = self._between(_SHARES, name, scope, bucket_ms, "long")
        return long, 1 - long

    def taker_volumes(self, name: str, scope: str, bucket_ms: int) -> tuple[Decimal, Decimal]:
        """Return what takers bought and sold in a period, with 4 decimals; the parameters are those of `shares`."""
        key = (name, scope, bucket_ms)
        return self._between(_VOLUMES, *key, "buy"), self._between(_VOLUMES, *key, "sell")

    def _between(self, bounds: tuple[int, int], *key: object) -> Decimal:
        low, high = bounds
        return Decimal(low + int((high - low) * draw(self._seed, self._listing.feed, *key))).scaleb(-4)
