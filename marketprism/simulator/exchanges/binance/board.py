"""One instrument on the simulated Binance: its streams, and what was last sent on them."""

from collections.abc import Callable, Mapping
from typing import Any

from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.liquidations import Liquidation
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Stream
from marketprism.simulator.server.exchange_server import ExchangeServer

Events = Callable[[], list[dict[str, Any]]]


class DepthStream:
    """An instrument's book updates at one speed: one every `interval` steps."""

    def __init__(self, stream: Stream, window: Window, seconds: float) -> None:
        self.stream = stream
        self.window = window
        self.interval = round(seconds / STEP_S)


class Push:
    """A stream on which the events that are due are sent every `interval` steps."""

    def __init__(self, stream: Stream, seconds: float, events: Events) -> None:
        self.stream = stream
        self.interval = round(seconds / STEP_S)
        self.events = events


class BinanceBoard(Board):
    """An instrument with its streams of BBOs, trades and books, and all that is pushed at intervals."""

    def __init__(
        self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int, speeds: Mapping[str, float]
    ) -> None:
        """`speeds`: seconds between two pushes of books, by the stream's suffix."""
        super().__init__(server, instrument, phase)
        self._base = instrument.listing.exchange_symbol.lower()
        self.bbo = self.add_stream(f"{self._base}@bookTicker", "quotes")
        self.trade = self.add_stream(f"{self._base}@trade", "trades")
        self.aggregated = self.add_stream(f"{self._base}@aggTrade", "trades")
        self.depths = [
            DepthStream(self.add_stream(self._base + suffix, "books"), instrument.book.window(), seconds)
            for suffix, seconds in speeds.items()
        ]
        self.pushes: list[Push] = []
        self._liquidation: Liquidation | None = None  # the last that was taken

    def add_push(self, suffix: str, channel: str, seconds: float, events: Events) -> None:
        """Push events of this instrument on `<symbol><suffix>`."""
        self.add_named_push(self._base + suffix, channel, seconds, events)

    def add_named_push(self, name: str, channel: str, seconds: float, events: Events) -> None:
        """Push events on a stream that is not called after the instrument."""
        self.pushes.append(Push(self.add_stream(name, channel), seconds, events))

    def take_liquidation(self) -> Liquidation | None:
        """Return the latest liquidation since the last call; earlier ones are never sent."""
        recent = self.instrument.liquidations.recent
        found = recent[-1] if recent else None
        if found == self._liquidation:
            return None
        self._liquidation = found
        return found


class PartialDepth:
    """The changes of an instrument's best levels on one stream."""

    def __init__(self, instrument: SimulatedInstrument) -> None:
        self._book = instrument.book
        self.sequence = instrument.book.sequence  # of the last event

    def take_change(self) -> int:
        """Return the id of the event before if the book has changed since, else -1."""
        previous, self.sequence = self.sequence, self._book.sequence
        return -1 if previous == self.sequence else previous
