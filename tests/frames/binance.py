"""Frames as the exchanges send them, made for the tests."""

from typing import Any

import orjson

from schemas.instruments import Instrument, assumed_instrument
from schemas.raw import encode_line

T0 = 1_790_000_000_000_000_000  # ns

SPOT = assumed_instrument("binance-spot", "binance", "BTC-USDT")
USDM = assumed_instrument("binance-usdm", "binance", "BTC-USDT-PERP")
OKX_SPOT = assumed_instrument("okx", "okx", "BTC-USDT")
OKX_SWAP = assumed_instrument("okx", "okx", "BTC-USDT-PERP").model_copy(update={"contract_size": "0.01"})
OKX_INVERSE = assumed_instrument("okx", "okx", "BTC-USD-PERP").model_copy(update={"contract_size": "100"})

Levels = list[list[str]]


def dumps(body: Any) -> bytes:
    return orjson.dumps(body)


def spot_trade(**changes: Any) -> bytes:
    body = {
        "e": "trade", "E": 1790000000123, "s": "BTCUSDT", "t": 5100000001, "p": "86750.01000000", "q": "0.00150000",
        "T": 1790000000122, "m": True, "M": True,
    }  # fmt: skip
    return dumps({"stream": "btcusdt@trade", "data": body | changes})


def spot_depth(first: int, last: int, bids: Levels, asks: Levels) -> bytes:
    body = {"e": "depthUpdate", "E": 1790000000200, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return dumps({"stream": "btcusdt@depth@100ms", "data": body})


def spot_snapshot(last: int, bids: Levels, asks: Levels) -> bytes:
    return dumps({"lastUpdateId": last, "bids": bids, "asks": asks})


def spot_quote(update: int, bid: str, bid_amount: str, ask: str, ask_amount: str) -> bytes:
    body = {"u": update, "s": "BTCUSDT", "b": bid, "B": bid_amount, "a": ask, "A": ask_amount}
    return dumps({"stream": "btcusdt@bookTicker", "data": body})


def usdm_depth(first: int, last: int, previous: int, bids: Levels, asks: Levels) -> bytes:
    body = {
        "e": "depthUpdate", "E": 1790000000150, "T": 1790000000148, "s": "BTCUSDT", "ps": "BTCUSDT", "U": first,
        "u": last, "pu": previous, "b": bids, "a": asks, "st": 1,
    }  # fmt: skip
    return dumps({"stream": "btcusdt@depth@100ms", "data": body})


def okx(channel: str, data: list[dict[str, Any]], instrument: Instrument = OKX_SPOT, **more: Any) -> bytes:
    arg = {"channel": channel, "instId": instrument.exchange_symbol}
    return dumps({"arg": arg, **more, "data": data})


def okx_book(
    previous: int, sequence: int, bids: Levels, asks: Levels, action: str = "update", instrument: Instrument = OKX_SPOT
) -> bytes:
    row = {
        "asks": [[*level, "0", "1"] for level in asks],
        "bids": [[*level, "0", "1"] for level in bids],
        "ts": "1790000000100", "checksum": 0, "prevSeqId": previous, "seqId": sequence,
    }  # fmt: skip
    return okx("books", [row], instrument, action=action)


def okx_bbo(
    sequence: int, bid: str, bid_amount: str, ask: str, ask_amount: str, instrument: Instrument = OKX_SPOT
) -> bytes:
    row = {
        "asks": [[ask, ask_amount, "0", "1"]], "bids": [[bid, bid_amount, "0", "1"]], "ts": "1790000000201",
        "seqId": sequence,
    }  # fmt: skip
    return okx("bbo-tbt", [row], instrument)


def okx_trade(instrument: Instrument = OKX_SPOT, **changes: str) -> bytes:
    row = {
        "instId": instrument.exchange_symbol, "tradeId": "2300000045", "px": "86750.1", "sz": "12", "side": "buy",
        "ts": "1790000000122", "count": "3", "source": "0",
    }  # fmt: skip
    return okx("trades", [row | changes], instrument)


def line(key: str, frame: bytes, millis: float = 0) -> bytes:
    return encode_line(T0 + int(millis * 1e6), key, frame)


def marker(key: str, kind: str, millis: float = 0, /, **fields: Any) -> bytes:
    """A marker as JSON of whatever fields: malformed ones too."""
    return b"%d\t%s\t%s\n" % (T0 + int(millis * 1e6), key.encode(), dumps({"marketprism": kind} | fields))


def tick(exchange: str, millis: float) -> bytes:
    return marker(f"{exchange}:*", "tick", millis)
