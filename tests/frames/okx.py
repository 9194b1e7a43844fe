"""Make OKX's frames."""

from typing import Any

from schemas.instruments import Instrument, assumed_instrument
from tests.frames import MS, Levels, dumps

SPOT = assumed_instrument("okx", "okx", "BTC-USDT")
SWAP = assumed_instrument("okx", "okx", "BTC-USDT-PERP").model_copy(update={"contract_size": "0.01"})
INVERSE = assumed_instrument("okx", "okx", "BTC-USD-PERP").model_copy(update={"contract_size": "100"})


def push(channel: str, data: list[dict[str, Any]], instrument: Instrument = SPOT, **more: Any) -> bytes:
    arg = {"channel": channel, "instId": instrument.exchange_symbol}
    return dumps({"arg": arg, **more, "data": data})


def book(
    previous: int, sequence: int, bids: Levels, asks: Levels, action: str = "update", instrument: Instrument = SPOT
) -> bytes:
    row = {
        "asks": [[*level, "0", "1"] for level in asks],
        "bids": [[*level, "0", "1"] for level in bids],
        "ts": "1790000000100", "checksum": 0, "prevSeqId": previous, "seqId": sequence,
    }  # fmt: skip
    return push("books", [row], instrument, action=action)


def bbo(sequence: int, bid: str, bid_amount: str, ask: str, ask_amount: str, instrument: Instrument = SPOT) -> bytes:
    row = {
        "asks": [[ask, ask_amount, "0", "1"]], "bids": [[bid, bid_amount, "0", "1"]], "ts": "1790000000201",
        "seqId": sequence,
    }  # fmt: skip
    return push("bbo-tbt", [row], instrument)


def trade(instrument: Instrument = SPOT, **changes: str) -> bytes:
    row = {
        "instId": instrument.exchange_symbol, "tradeId": "2300000045", "px": "86750.1", "sz": "12", "side": "buy",
        "ts": "1790000000122", "count": "3", "source": "0",
    }  # fmt: skip
    return push("trades", [row | changes], instrument)


def funding_rate(instrument: Instrument = SWAP, **changes: str) -> bytes:
    row = {"fundingRate": "-0.0000725", "fundingTime": str(MS), "nextFundingTime": str(MS + 14_400_000), "ts": str(MS)}
    return push("funding-rate", [row | changes], instrument)


def mark_price(instrument: Instrument = SWAP) -> bytes:
    return push("mark-price", [{"instId": instrument.exchange_symbol, "markPx": "86750.1", "ts": str(MS)}], instrument)


def index_price(name: str = "BTC-USDT") -> bytes:
    """Make a frame of an index, which all instruments that settle against it share."""
    return dumps({"arg": {"channel": "index-tickers", "instId": name}, "data": [{"idxPx": "86749", "ts": str(MS)}]})
