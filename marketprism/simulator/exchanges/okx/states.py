"""OKX's channels of states (docs/protocols/okx.md §3.4): tickers, funding rates, prices, open interest and options.

A state is pushed when a client subscribes, when it has changed, and again when it has not changed for some time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from marketprism.simulator.exchanges.okx import figures
from marketprism.simulator.exchanges.okx.board import OkxBoard
from marketprism.simulator.exchanges.okx.definitions import expiry_ms, instrument_type
from marketprism.simulator.market.intervals import HOUR_MS
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.connection import Stream
from schemas.exchanges.okx import family_of, index_of

CHANNELS: dict[str, str] = {
    "tickers": "tickers",
    "funding-rate": "funding",
    "mark-price": "mark_prices",
    "index-tickers": "index_prices",
    "estimated-price": "settlement_prices",
    "open-interest": "open_interest",
    "opt-summary": "options",
}
"""Our channels by OKX's names of them."""

# Seconds between two pushes of a changed state at least, and of an unchanged one.
_INTERVALS = {
    "tickers": (0.1, 60.0),
    "funding-rate": (0.0, 5.0),  # the exchange repeats it every 30 to 90 s, for which tests would have to wait
    "mark-price": (0.2, 10.0),
    "index-tickers": (0.5, 60.0),
    "estimated-price": (0.2, 60.0),
    "open-interest": (3.0, 3.0),
    "opt-summary": (1.0, 10.0),
}


@dataclass
class StateStream:
    """A stream of one state. `value` returns what is compared to find a change at a time, ms; None: there is no state.

    `payload` returns the push at a time. `intervals`: see `_INTERVALS`.
    """

    stream: Stream
    value: Callable[[int], object]
    payload: Callable[[int], dict[str, Any]]
    intervals: tuple[float, float]
    _pushed: object = None
    _pushed_at = 0  # step

    def current(self, now: int) -> dict[str, Any] | None:
        """Return the push at a time, ms; None if there is no state."""
        return None if self.value(now) is None else self.payload(now)

    def is_due(self, number: int, now: int) -> bool:
        """Return whether to push the state in step `number`; if so, it counts as pushed."""
        age, (shortest, longest) = (number - self._pushed_at) * STEP_S, self.intervals
        if age < shortest or not self.stream.subscribers:
            return False
        value = self.value(now)
        if value is None or (value == self._pushed and age < longest):
            return False
        self._pushed, self._pushed_at = value, number
        return True


def state_streams(boards: Iterable[OkxBoard]) -> Iterator[StateStream]:
    """Offer the streams of all instruments' states. An index, and a family, has one for all its instruments."""
    groups: dict[tuple[str, str], list[OkxBoard]] = {}
    for board in boards:
        yield from _own_states(board)
        if board.instrument.funding.is_derivative:
            yield from _derivative_states(board)
            groups.setdefault((instrument_type(board.instrument.listing), family_of(board.name)), []).append(board)
    for (kind, family), members in groups.items():
        yield from _group_states(kind, family, members)


def _state(
    channel: str,
    subject: str,
    boards: list[OkxBoard],
    value: Callable[[int], object],
    payload: Callable[[int], dict[str, Any]],
) -> StateStream:
    [stream, *_] = [board.add_stream(f"{channel}:{subject}", CHANNELS[channel]) for board in boards]
    return StateStream(stream, value, payload, _INTERVALS[channel])


def _own_states(board: OkxBoard) -> Iterator[StateStream]:
    instrument, book = board.instrument, board.instrument.book

    def ticker(now: int) -> dict[str, Any]:
        return figures.ticker(instrument, instrument.day.at(now), now)

    yield _state("tickers", board.name, [board], lambda now: (instrument.day.at(now), book.top_sequence), ticker)


def _derivative_states(board: OkxBoard) -> Iterator[StateStream]:
    instrument, funding, name = board.instrument, board.instrument.funding, board.name
    if funding.is_perpetual:
        payload = partial(figures.funding_rate, instrument)
        yield _state("funding-rate", name, [board], lambda now: funding.rate, payload)
    yield _state("mark-price", name, [board], lambda now: instrument.mark, partial(figures.mark_price, instrument))
    index = index_of(name)
    payload = partial(figures.index_ticker, index, funding)
    yield _state("index-tickers", index, [board], lambda now: funding.index, payload)
    payload = partial(figures.open_interest, instrument)
    yield _state("open-interest", name, [board], instrument.positions.open_interest, payload)


def _group_states(kind: str, family: str, boards: list[OkxBoard]) -> Iterator[StateStream]:
    instruments = [board.instrument for board in boards]
    subject = f"{kind} {family}"
    if kind == "OPTION":

        def volatilities(now: int) -> object:
            return [(each.option.mark_iv, each.option.underlying_price) for each in instruments if each.option]

        payload = partial(figures.option_summary, instruments, family)
        yield _state("opt-summary", subject, boards, volatilities, payload)
    if kind == "SWAP":
        return

    def due(now: int) -> list[Any]:
        return [each for each in instruments if 0 <= (expiry_ms(each.listing) or 0) - now <= HOUR_MS]

    def prices(now: int) -> object:
        return [each.funding.index for each in due(now)] or None

    yield _state("estimated-price", subject, boards, prices, lambda now: figures.estimated_price(due(now), now))
