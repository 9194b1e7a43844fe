"""One instrument on the simulated OKX: its streams, and what was last sent on them."""

import time

from marketprism.simulator.exchanges.okx.definitions import instrument_type
from marketprism.simulator.exchanges.okx.frames import TextLevels, text_levels
from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.liquidations import Liquidation
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Connection, Stream
from marketprism.simulator.server.exchange_server import ExchangeServer

CHANNELS: dict[str, str] = {
    "trades": "trades",
    "trades-all": "trades",
    "books": "books",
    "books5": "quotes",
    "bbo-tbt": "quotes",
}


LIQUIDATIONS = "liquidation-orders"


class OkxBoard(Board):
    """An instrument with a stream for each channel."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.name = instrument.listing.exchange_symbol
        self.window = instrument.book.window()
        self.streams = {channel: self.add_stream(f"{channel}:{self.name}", ours) for channel, ours in CHANNELS.items()}
        self.liquidations: Stream | None = None  # all contracts of a type share it
        if instrument.funding.is_derivative:
            self.liquidations = self.add_stream(f"{LIQUIDATIONS}:{instrument_type(instrument.listing)}", "liquidations")
        self.five_sent: tuple[Levels, Levels] = ([], [])
        self.sent_at = dict.fromkeys(CHANNELS, time.monotonic())
        self.seeding: set[Connection] = set()  # subscribed to `books` since the last push; the next is a snapshot

    def top(self, count: int) -> tuple[TextLevels, TextLevels]:
        """Return the best `count` bids and asks."""
        listing, book = self.instrument.listing, self.instrument.book
        return text_levels(listing, book.bids.top(count)), text_levels(listing, book.asks.top(count))

    def liquidation_of(self, trade: Trade) -> Liquidation | None:
        """Return the liquidation that the last trade was; None if it was none."""
        recent = self.instrument.liquidations.recent
        return recent[-1] if recent and recent[-1].trade_id == trade.id else None
