"""OKX's derivative state channels (docs/protocols/okx.md §3.4): funding rates, mark prices and index prices.

A state is pushed when a client subscribes, when it has changed, and again when it has not changed for some time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from marketprism.simulator.exchanges.okx import frames
from marketprism.simulator.exchanges.okx.board import OkxBoard
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.connection import Stream

CHANNELS: dict[str, str] = {"funding-rate": "funding", "mark-price": "mark_prices", "index-tickers": "index_prices"}

_FUNDING_INTERVALS = 0.0, 5.0  # s; the exchange repeats it every 30 to 90 s, for which tests would have to wait
_MARK_INTERVALS = 0.2, 10.0
_INDEX_INTERVALS = 0.5, 60.0


@dataclass
class StateStream:
    """A stream of one state. `value` returns what is compared to find a change, and `payload` the push at a time, ms.

    `intervals`: seconds between two pushes of a changed state at least, and of an unchanged one.
    """

    stream: Stream
    value: Callable[[], Decimal | None]
    payload: Callable[[int], dict[str, Any]]
    intervals: tuple[float, float]
    _pushed: Decimal | None = None
    _pushed_at = 0  # step

    def is_due(self, number: int) -> bool:
        """Return whether to push the state in step `number`; if so, it counts as pushed."""
        age, (shortest, longest) = (number - self._pushed_at) * STEP_S, self.intervals
        if age < shortest:
            return False
        value = self.value()
        if value == self._pushed and age < longest:
            return False
        self._pushed, self._pushed_at = value, number
        return True


def state_streams(board: OkxBoard) -> Iterator[StateStream]:
    """Offer the streams of an instrument's states. That of the index may be shared with other instruments."""
    listing, funding, name = board.instrument.listing, board.instrument.funding, board.name
    if not funding.is_derivative:
        return

    def offered(channel: str, name: str) -> Stream:
        return board.add_stream(f"{channel}:{name}", CHANNELS[channel])

    kind = frames.instrument_type(listing)
    if funding.is_perpetual:
        payload = partial(frames.funding_rate, kind, name, funding)
        yield StateStream(offered("funding-rate", name), lambda: funding.rate, payload, _FUNDING_INTERVALS)
    payload = partial(frames.mark_price, kind, name, funding)
    yield StateStream(offered("mark-price", name), lambda: funding.mark, payload, _MARK_INTERVALS)
    index = f"{listing.underlying}-{listing.quote}"
    payload = partial(frames.index_ticker, index, funding)
    yield StateStream(offered("index-tickers", index), lambda: funding.index, payload, _INDEX_INTERVALS)
