"""One instrument on the simulated Deribit: its streams, and what was last sent on them."""

from typing import Any

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Connection, Stream
from marketprism.simulator.server.exchange_server import ExchangeServer

INTERVAL = round(0.1 / STEP_S)  # steps between two pushes of books and trades
TICKER_INTERVAL = round(0.5 / STEP_S)  # the same of tickers


class DeribitBoard(Board):
    """An instrument with its streams of trades, books, BBOs and tickers."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        book, name = instrument.book, instrument.listing.exchange_symbol
        self.window = book.window()
        self.trades = self.add_stream(f"trades.{name}.100ms", "trades")
        self.book = self.add_stream(f"book.{name}.100ms", "books")
        self.quote = self.add_stream(f"quote.{name}", "quotes")
        self.ticker = self.add_stream(f"ticker.{name}.100ms", "tickers")
        self.ticker_sent: dict[str, Any] = {}  # without its time
        self.pending_trades: list[dict[str, Any]] = []
        self.sent_prices = set(book.bids.amounts), set(book.asks.amounts)  # the client's prices after the last push
        # By stream: connections that subscribed since the last push; their next push is a snapshot.
        self.seeding: dict[str, set[Connection]] = {
            stream.name: set() for stream in (self.book, self.quote, self.ticker)
        }
        self.sequence, self.top_sent = book.sequence, book.top_sequence
        self.changed_at = server.now_ms()
        self.last_price = book.bids.at(0)  # ticks; of the last trade, or a price at which one might have happened
        self._direction = 0

    def tick_direction(self, price: int) -> int:
        """Return 0 (plus), 1 (zero-plus), 2 (minus) or 3 (zero-minus) for a trade at this price."""
        if price == self.last_price:
            self._direction |= 1
        else:
            self._direction = 0 if price > self.last_price else 2
        self.last_price = price
        return self._direction

    def to_seed(self, stream: Stream) -> set[Connection]:
        """Return the subscribers that have not yet got their snapshot; the set may be changed."""
        self.seeding[stream.name] &= stream.subscribers
        return self.seeding[stream.name]
