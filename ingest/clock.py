"""An exchange's clock against ours, by REST (PROTOCOLS §7)."""

import time
from typing import NamedTuple

from ingest.exchanges.base import ExchangeFeed
from ingest.rest import Rest

_SAMPLES = 3


class Clock(NamedTuple):
    """`offset`: the exchange's clock minus ours; `round_trip`: how long asking took. Both µs."""

    offset: int
    round_trip: int


async def compare_clock(exchange: ExchangeFeed, rest: Rest) -> Clock:
    """The best of some samples: the one with the shortest way. `ExchangeError` where it gives no time."""
    return min([await _sample(exchange, rest) for _ in range(_SAMPLES)], key=lambda clock: clock.round_trip)


async def _sample(exchange: ExchangeFeed, rest: Rest) -> Clock:
    sent = time.time_ns() // 1000
    theirs = await exchange.server_time(rest)
    round_trip = time.time_ns() // 1000 - sent
    return Clock(theirs - sent - round_trip // 2, round_trip)
