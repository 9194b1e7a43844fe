"""One instrument of the simulated Deribit: its streams, and what they were last sent."""

from typing import Any

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.prices import STEP
from marketprism.simulator.server.connection import Connection, Stream
from marketprism.simulator.server.exchange_server import ExchangeServer

INTERVAL = round(0.1 / STEP)  # steps between two pushes of books and trades


class Board:
    """An instrument with its streams, and what each was last sent."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        listing, book = instrument.listing, instrument.book
        name = listing.exchange_symbol
        self.instrument = instrument
        self.phase = phase % INTERVAL
        self.window = book.window()
        self.trades = server.add_stream(f"trades.{name}.100ms", listing, "trades")
        self.book = server.add_stream(f"book.{name}.100ms", listing, "books")
        self.quote = server.add_stream(f"quote.{name}", listing, "quotes")
        self.rows: list[dict[str, Any]] = []  # trades that are to be sent
        self.known = set(book.bids.amounts), set(book.asks.amounts)  # the prices of the last push
        self.new: dict[str, set[Connection]] = {self.book.name: set(), self.quote.name: set()}  # to be sent the state
        self.sequence, self.top_sequence = book.sequence, book.top_sequence
        self.changed_at = server.now_ms()
        self._price, self._direction = 0, 0

    def tick_direction(self, price: int) -> int:
        """0 plus, 1 zero-plus, 2 minus, 3 zero-minus."""
        if price == self._price:
            self._direction |= 1
        else:
            self._direction = 0 if price > self._price else 2
        self._price = price
        return self._direction

    def newcomers(self, stream: Stream) -> set[Connection]:
        """Those who have subscribed since the last push, and still are."""
        self.new[stream.name] &= stream.subscribers
        return self.new[stream.name]
