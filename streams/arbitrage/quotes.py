"""Hold the latest quote of one exchange for the join."""

import orjson
from msgspec import Raw

from streams.arbitrage.execution import Levels
from streams.arbitrage.lines import QuoteLine


class PairQuote:
    """One exchange's latest quote of a symbol.

    `bid` and `ask` are the best prices, 0 for an empty side. `json` is the text that `line` was decoded from. Most
    quotes never pay, so the levels behind the best one stay undecoded.
    """

    __slots__ = ("ask", "at", "bid", "exchange", "fee", "json", "line", "state")

    def __init__(self, state: str, line: QuoteLine, json: bytes, fee: float) -> None:
        self.exchange = line.exchange
        self.state = state
        self.line = line
        self.json = json
        self.fee = fee
        self.at = line.local_timestamp
        self.bid = float(_best(line.bids))
        self.ask = float(_best(line.asks))

    @property
    def is_from_rest(self) -> bool:
        """Whether it was polled by REST. Such a line is here only if the settings let it be paired."""
        return self.line.origin == "rest"

    def best_bid(self) -> str:
        """Return the best bid's price, `0` for an empty side."""
        return _best(self.line.bids).decode()

    def best_ask(self) -> str:
        """Return the best ask's price, `0` for an empty side."""
        return _best(self.line.asks).decode()

    def bids(self) -> Levels:
        """Decode the bids, best first."""
        return _levels(self.line.bids)

    def asks(self) -> Levels:
        """Decode the asks, best first."""
        return _levels(self.line.asks)


def _best(side: Raw) -> bytes:
    """Return the best price as it is written, without decoding the rest of the side."""
    json = bytes(side)
    return json[3 : json.index(b'"', 3)] if len(json) > 2 else b"0"  # [["86750.00",…


def _levels(side: Raw) -> Levels:
    levels: Levels = orjson.loads(bytes(side))
    return levels
