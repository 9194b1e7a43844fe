"""Make Binance's frames. USD-M uses those of spot if they look the same in both markets."""

from typing import Any

from schemas.instruments import Instrument, assumed_instrument
from tests.frames import MS, Levels, dumps

SPOT = assumed_instrument("binance-spot", "binance", "BTC-USDT")
USDM = assumed_instrument("binance-usdm", "binance", "BTC-USDT-PERP")
COINM = assumed_instrument("binance-coinm", "binance", "BTC-USD-PERP")


def trade(**changes: Any) -> bytes:
    body = {
        "e": "trade", "E": 1790000000123, "s": "BTCUSDT", "t": 5100000001, "p": "86750.01000000", "q": "0.00150000",
        "T": 1790000000122, "m": True, "M": True,
    }  # fmt: skip
    return dumps({"stream": "btcusdt@trade", "data": body | changes})


def depth(first: int, last: int, bids: Levels, asks: Levels) -> bytes:
    """Make a spot diff."""
    body = {"e": "depthUpdate", "E": 1790000000200, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return dumps({"stream": "btcusdt@depth@100ms", "data": body})


def usdm_depth(first: int, last: int, previous: int, bids: Levels, asks: Levels) -> bytes:
    body = {
        "e": "depthUpdate", "E": 1790000000150, "T": 1790000000148, "s": "BTCUSDT", "ps": "BTCUSDT", "U": first,
        "u": last, "pu": previous, "b": bids, "a": asks, "st": 1,
    }  # fmt: skip
    return dumps({"stream": "btcusdt@depth@100ms", "data": body})


def snapshot(last: int, bids: Levels, asks: Levels) -> bytes:
    """Make a snapshot as REST sends it."""
    return dumps({"lastUpdateId": last, "bids": bids, "asks": asks})


def quote(update: int, bid: str, bid_amount: str, ask: str, ask_amount: str) -> bytes:
    body = {"u": update, "s": "BTCUSDT", "b": bid, "B": bid_amount, "a": ask, "A": ask_amount}
    return dumps({"stream": "btcusdt@bookTicker", "data": body})


def coinm(stream: str, **body: Any) -> bytes:
    """An event of the coin-margined perpetual. Amounts are contracts of 100 dollars."""
    return dumps({"stream": f"btcusd_perp@{stream}", "data": {"s": "BTCUSD_PERP", "ps": "BTCUSD", "st": 2} | body})


def mark_price(instrument: Instrument = USDM, **changes: Any) -> bytes:
    name = instrument.exchange_symbol
    body = {
        "e": "markPriceUpdate", "E": MS, "s": name, "p": "86748.21000000", "i": "86749.02", "P": "1", "st": 1,
        "r": "-5E-7", "T": MS + 6_400_000,
    }  # fmt: skip
    return dumps({"stream": f"{name.lower()}@markPrice@1s", "data": body | changes})
