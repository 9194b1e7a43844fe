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
        "e": "markPriceUpdate", "E": MS, "s": name, "p": "86748.21000000", "i": "86749.02", "P": "86745.1", "st": 1,
        "r": "-5E-7", "T": MS + 6_400_000,
    }  # fmt: skip
    return _of_stream(instrument, "markPrice@1s", body | changes)


def aggregated(instrument: Instrument = USDM, **changes: Any) -> bytes:
    body = {
        "e": "aggTrade", "E": MS + 2, "s": instrument.exchange_symbol, "a": 2900000001, "p": "86751.10", "q": "3",
        "nq": "3", "f": 6900000001, "l": 6900000007, "T": MS, "m": False, "st": 1,
    }  # fmt: skip
    return _of_stream(instrument, "aggTrade", body | changes)


def partial_book(instrument: Instrument = USDM, **changes: Any) -> bytes:
    """Make a book of the best levels only, as the market of the instrument sends it."""
    bids, asks = [["86750.9", "12"], ["86750", "3"]], [["86751", "7"]]
    body: dict[str, Any] = {"lastUpdateId": 70000000160, "bids": bids, "asks": asks}
    if instrument.kind != "spot":
        body = {
            "e": "depthUpdate", "E": MS + 2, "T": MS, "s": instrument.exchange_symbol, "U": 98, "u": 101, "pu": 97,
            "b": bids, "a": asks, "st": 1,
        }  # fmt: skip
    return _of_stream(instrument, "depth20@100ms", body | changes)


def ticker(instrument: Instrument = SPOT, **changes: Any) -> bytes:
    body = {
        "e": "24hrTicker", "E": MS, "s": instrument.exchange_symbol, "p": "-213.70", "P": "-0.246", "w": "86800.1",
        "c": "86750.00", "Q": "0.017", "o": "86963.70", "h": "88000.00", "l": "85900.50", "v": "15210.5",
        "q": "1320299921.05", "O": MS - 86_400_000, "C": MS, "F": 100, "L": 5099, "n": 5000,
    }  # fmt: skip
    return _of_stream(instrument, "ticker", body | changes)


def mini_ticker(instrument: Instrument = SPOT, **changes: Any) -> bytes:
    body = {
        "e": "24hrMiniTicker", "E": MS, "s": instrument.exchange_symbol, "c": "86750.00", "o": "86963.70",
        "h": "88000.00", "l": "85900.50", "v": "15210.5", "q": "1320299921.05",
    }  # fmt: skip
    return _of_stream(instrument, "miniTicker", body | changes)


def bar(interval: str = "1m", **changes: Any) -> dict[str, Any]:
    """Make the candle of a kline event."""
    return {
        "t": MS - MS % 60_000, "T": MS - MS % 60_000 + 59_999, "i": interval, "f": 100, "L": 190, "o": "86740.0",
        "c": "86750.0", "h": "86760.0", "l": "86735.0", "v": "12.5", "n": 91, "x": False, "q": "1084000.1",
        "V": "7.1", "Q": "615000.2", "B": "0",
    } | changes  # fmt: skip


def kline(instrument: Instrument = SPOT, interval: str = "1m", **changes: Any) -> bytes:
    name = instrument.exchange_symbol
    body = {"e": "kline", "E": MS, "s": name, "k": bar(interval, s=name, **changes)}
    return _of_stream(instrument, f"kline_{interval}", body)


def continuous_kline(pair: str = "BTCUSDT", contract: str = "PERPETUAL", **changes: Any) -> bytes:
    body = {"e": "continuous_kline", "E": MS, "ps": pair, "ct": contract, "k": bar(**changes)}
    return dumps({"stream": f"{pair}_{contract}@continuousKline_1m".lower(), "data": body})


def forced_order(instrument: Instrument = USDM, **changes: Any) -> bytes:
    order = {
        "s": instrument.exchange_symbol, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "14", "p": "50000", "ap": "50010",
        "X": "FILLED", "l": "4", "z": "14", "T": MS - 10,
    }  # fmt: skip
    return _of_stream(instrument, "forceOrder", {"e": "forceOrder", "E": MS, "o": order | changes})


def _of_stream(instrument: Instrument, name: str, body: dict[str, Any]) -> bytes:
    return dumps({"stream": f"{instrument.exchange_symbol.lower()}@{name}", "data": body})
