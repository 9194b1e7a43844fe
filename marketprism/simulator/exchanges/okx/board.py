"""One instrument on the simulated OKX: its streams, and what was last sent on them."""

import time

from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Connection
from marketprism.simulator.server.exchange_server import ExchangeServer

CHANNELS: dict[str, str] = {
    "trades": "trades",
    "trades-all": "trades",
    "books": "books",
    "books5": "quotes",
    "bbo-tbt": "quotes",
}


class OkxBoard(Board):
    """An instrument with a stream for each channel."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.name = instrument.listing.exchange_symbol
        self.window = instrument.book.window()
        self.streams = {channel: self.add_stream(f"{channel}:{self.name}", ours) for channel, ours in CHANNELS.items()}
        self.five_sent: tuple[Levels, Levels] = ([], [])
        self.sent_at = dict.fromkeys(CHANNELS, time.monotonic())
        self.seeding: set[Connection] = set()  # subscribed to `books` since the last push; the next is a snapshot
