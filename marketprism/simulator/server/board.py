"""Base class of the boards: what an exchange serves of one instrument."""

from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.server.connection import Stream
from marketprism.simulator.server.exchange_server import ExchangeServer


class Board:
    """One instrument on an exchange. Subclasses add its streams and the state of what was last sent on them."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        """`phase`: steps by which periodic pushes are shifted, so that instruments are not all sent at once."""
        self.instrument = instrument
        self.phase = phase
        self.top_sent = 0  # id of the last change of a best level that was sent
        self._server = server

    def add_stream(self, name: str, channel: str) -> Stream:
        """Offer a stream of this instrument."""
        return self._server.add_stream(name, self.instrument.listing, channel)

    def is_due(self, number: int, interval: int) -> bool:
        """Return whether step `number` is one in which to push data that are sent every `interval` steps."""
        return number % interval == self.phase % interval

    def top_changed(self) -> bool:
        """Return whether a best level has changed since the last call."""
        changed = self.instrument.book.top_sequence != self.top_sent
        self.top_sent = self.instrument.book.top_sequence
        return changed
