"""One instrument on the simulated HTX: its streams, and what was last sent on them."""

from marketprism.simulator.market.best_levels import BestLevels
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Connection, Stream
from marketprism.simulator.server.exchange_server import ExchangeServer


class HtxBoard(Board):
    """An instrument with its streams of trades and BBOs."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.root = f"market.{instrument.listing.exchange_symbol}"
        self.trade = self.add_stream(f"{self.root}.trade.detail", "trades")
        self.bbo = self.add_stream(f"{self.root}.bbo", "quotes")


class SpotBoard(HtxBoard):
    """A spot instrument. `books`: stream and levels of each incremental book, by its number of levels."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.books = {
            count: (self.add_stream(f"{self.root}.mbp.{count}", "books"), BestLevels(instrument.book, count))
            for count in (5, 20, 150, 400)
        }


class SwapBook:
    """An incremental book of one size. `version` counts its pushes."""

    def __init__(self, stream: Stream, levels: BestLevels) -> None:
        self.stream = stream
        self.levels = levels
        self.version = 1000
        self.seeding: set[Connection] = set()  # subscribed since the last push; their next push is a snapshot


class SwapBoard(HtxBoard):
    """A swap with its incremental books of 20 and 150 levels and its funding rate."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.books = [
            SwapBook(
                self.add_stream(f"{self.root}.depth.size_{count}.high_freq", "books"),
                BestLevels(instrument.book, count),
            )
            for count in (20, 150)
        ]
        self.funding = self.add_stream(f"public.{instrument.listing.exchange_symbol}.funding_rate", "funding")
