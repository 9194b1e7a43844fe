"""Compare an exchange's clock with ours, by REST (docs/protocols/README.md §7)."""

import time
from typing import NamedTuple

from ingest.exchanges.base import Connector
from ingest.rest import Rest
from ingest.supervision import describe_error
from schemas.errors import ExchangeError

_SAMPLES = 3
_EARLIEST, _LATEST = 1_500_000_000_000_000, 4_100_000_000_000_000  # µs: 2017 and 2099, the limits of a credible time


class ClockComparison(NamedTuple):
    """Result of one comparison. `offset`: the exchange's clock minus ours; `round_trip`: of the request. Both µs."""

    offset: int
    round_trip: int


async def compare_clock(connector: Connector, rest: Rest) -> ClockComparison:
    """Return the best of some samples, the one with the shortest round trip.

    `ExchangeError` if the exchange's answer has no credible time.
    """
    samples = [await _sample(connector, rest) for _ in range(_SAMPLES)]
    return min(samples, key=lambda sample: sample.round_trip)


async def _sample(connector: Connector, rest: Rest) -> ClockComparison:
    sent, began = time.time_ns() // 1000, time.monotonic_ns()
    try:
        theirs = await connector.server_time(rest)
    except ExchangeError:
        raise
    except Exception as error:
        raise ExchangeError(f"{connector.name}: no time in the answer: {describe_error(error)}"[:300]) from error
    if not _EARLIEST < theirs < _LATEST:
        raise ExchangeError(f"{connector.name}: {theirs} µs is not a credible time")
    round_trip = (time.monotonic_ns() - began) // 1000  # monotonic: our clock may be set during the request
    return ClockComparison(theirs - sent - round_trip // 2, round_trip)
