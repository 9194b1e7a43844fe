"""One instrument on the simulated Binance: its streams, and what was last sent on them."""

from collections.abc import Mapping

from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Stream
from marketprism.simulator.server.exchange_server import ExchangeServer


class DepthStream:
    """An instrument's book updates at one speed: one every `interval` steps."""

    def __init__(self, stream: Stream, window: Window, seconds: float) -> None:
        self.stream = stream
        self.window = window
        self.interval = round(seconds / STEP_S)


class BinanceBoard(Board):
    """An instrument with its streams of BBOs, trades, books and, on futures, mark prices."""

    def __init__(
        self,
        server: ExchangeServer,
        instrument: SimulatedInstrument,
        phase: int,
        speeds: Mapping[str, float],
        mark_speeds: Mapping[str, float],
    ) -> None:
        """`speeds`, `mark_speeds`: seconds between two pushes of books and mark prices, by the stream's suffix."""
        super().__init__(server, instrument, phase)
        base = instrument.listing.exchange_symbol.lower()
        self.bbo = self.add_stream(f"{base}@bookTicker", "quotes")
        self.trade = self.add_stream(f"{base}@trade", "trades")
        self.aggregated = self.add_stream(f"{base}@aggTrade", "trades")
        self.depths = [
            DepthStream(self.add_stream(base + suffix, "books"), instrument.book.window(), seconds)
            for suffix, seconds in speeds.items()
        ]
        self.marks = [
            (self.add_stream(base + suffix, "mark_prices"), round(seconds / STEP_S))
            for suffix, seconds in mark_speeds.items()
        ]
