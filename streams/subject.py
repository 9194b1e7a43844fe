"""The instrument whose lines are being processed."""

from schemas.instruments import Instrument


class Subject:
    """One instrument, shared by its handlers. A new definition replaces `instrument`; `key` is its record key."""

    __slots__ = ("exchange", "instrument", "key", "symbol")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.exchange = instrument.exchange
        self.symbol = instrument.symbol
        self.key = instrument.key.encode()
