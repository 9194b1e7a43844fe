"""An exchange's clock against ours, by REST (docs/protocols/README.md §7)."""

import time
from typing import NamedTuple

from ingest.exchanges.base import Connector
from ingest.rest import Rest
from schemas.errors import ExchangeError

_SAMPLES = 3
_EARLIEST, _LATEST = 1_500_000_000_000_000, 4_100_000_000_000_000  # µs: 2017 and 2099; what lies outside is no time


class Clock(NamedTuple):
    """`offset`: the exchange's clock minus ours; `round_trip`: how long asking took. Both µs."""

    offset: int
    round_trip: int


async def compare_clock(exchange: Connector, rest: Rest) -> Clock:
    """The best of some samples: the one with the shortest way. `ExchangeError` where it gives no time."""
    return min([await _sample(exchange, rest) for _ in range(_SAMPLES)], key=lambda clock: clock.round_trip)


async def _sample(exchange: Connector, rest: Rest) -> Clock:
    sent, began = time.time_ns() // 1000, time.monotonic_ns()
    try:
        theirs = await exchange.server_time(rest)
    except ExchangeError:
        raise
    except Exception as error:
        raise ExchangeError(f"{exchange.name}: the answer holds no time: {error!r}"[:300]) from error
    if not _EARLIEST < theirs < _LATEST:
        raise ExchangeError(f"{exchange.name}: {theirs} µs is no time of now")
    round_trip = (time.monotonic_ns() - began) // 1000  # our own clock may be set meanwhile
    return Clock(theirs - sent - round_trip // 2, round_trip)
