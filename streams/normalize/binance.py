"""Binance spot and USD-M futures (PROTOCOLS §1.4, §2.3): trades, diff book, BBO, REST depth snapshots.

The types say what a frame must hold; msgspec checks that while it decodes. Three streams make nearly all of the traffic
and are decoded straight into them, by the stream's name; all others go the long way, which also finds the reasons.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.events import Depth, Ignored, Normalized, Quote, Trade, UsedUp
from streams.normalize.values import check_name, decoded_levels, micros, positives, quote_of_texts

# Event types of channels that are known and not built.
_NOT_BUILT = frozenset(
    {
        "aggTrade", "blockTrade", "kline", "continuous_kline", "24hrTicker", "24hrMiniTicker", "1hTicker", "4hTicker",
        "1dTicker", "avgPrice", "referencePrice", "markPriceUpdate", "indexPriceUpdate", "forceOrder", "contractInfo",
        "compositeIndex", "assetIndexUpdate", "tradingSession", "serverShutdown", "bookTicker_arr",
    }
)  # fmt: skip

# USD-M marks some trades: `NA` are placeholders with zero price for ids that were used up without a trade.
_TRADE_KINDS = {"MARKET": "normal", "INSURANCE_FUND": "insurance_fund", "ADL": "adl"}

_Id = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class _Trade(Struct, gc=False):
    s: str
    t: _Id
    p: str
    q: str
    T: int
    m: bool
    X: str = "MARKET"


class _Ticker(Struct, gc=False):
    s: str
    u: _Id
    b: str
    B: str
    a: str
    A: str
    T: int = 0


class _Diff(Struct, gc=False):
    s: str
    U: _Id
    u: _Id
    b: Raw
    a: Raw
    E: int
    T: int = 0
    pu: int = -1


class _Snapshot(Struct, gc=False):
    lastUpdateId: _Id
    bids: Raw
    asks: Raw
    T: int | None = None  # spot's have none


def _trade(trade: _Trade, instrument: Instrument, local_timestamp: int) -> Trade | UsedUp:
    check_name(trade.s, instrument)
    if trade.X == "NA":
        return UsedUp(trade.t)
    # `m`: the buyer was the maker, so the taker sold.
    side, kind = "sell" if trade.m else "buy", _TRADE_KINDS.get(trade.X) or trade.X.lower()
    price, amount = positives(trade.p, trade.q)
    return Trade(micros(trade.T), str(trade.t), price, amount, side, kind, "", trade.t)


def _quote(ticker: _Ticker, instrument: Instrument, local_timestamp: int) -> Quote:
    check_name(ticker.s, instrument)
    # Spot's BBO has no time at all; the futures' `T` is the matching time.
    stamp = micros(ticker.T) if ticker.T else local_timestamp
    return quote_of_texts(stamp, ticker.u, ticker.b, ticker.B, ticker.a, ticker.A)


def _depth(diff: _Diff, instrument: Instrument, local_timestamp: int) -> Depth:
    check_name(diff.s, instrument)
    bids, asks = decoded_levels(diff.b), decoded_levels(diff.a)
    return Depth("update", micros(diff.T or diff.E), diff.U, diff.u, diff.pu, bids, asks)


def _seed(snapshot: _Snapshot, instrument: Instrument, local_timestamp: int) -> Depth:
    last, stamp = snapshot.lastUpdateId, local_timestamp if snapshot.T is None else micros(snapshot.T)
    return Depth("seed", stamp, last, last, -1, decoded_levels(snapshot.bids), decoded_levels(snapshot.asks))


class _Reader(NamedTuple):
    """How one kind of frame is read: in the combined wrapper, or bare."""

    wrapped: Callable[[bytes], Any]
    bare: Callable[[bytes], Any]
    convert: Callable[[Any, Instrument, int], Normalized]


def _reader(data: type[Struct], convert: Callable[[Any, Instrument, int], Normalized]) -> _Reader:
    wrapper = msgspec.defstruct("_Wrapper", [("data", data)], gc=False)
    return _Reader(msgspec.json.Decoder(wrapper).decode, msgspec.json.Decoder(data).decode, convert)


_TRADE, _TICKER, _DEPTH = _reader(_Trade, _trade), _reader(_Ticker, _quote), _reader(_Diff, _depth)
_SEED = _reader(_Snapshot, _seed)
_STREAMS = {b"trade": _TRADE, b"bookTicker": _TICKER, b"depth": _DEPTH}
_HEAD = b'{"stream":"'
_NAME = len(_HEAD)  # where the stream's name begins


@lru_cache(maxsize=65536)
def _reader_of(stream: bytes) -> _Reader | None:
    """By `btcusdt@depth@100ms`; none for partial books (`@depth5`), other channels, all markets (`!bookTicker`)."""
    return _STREAMS.get(stream.split(b"@")[1]) if b"@" in stream else None


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """One frame, in the combined wrapper (`{"stream", "data"}`) or bare, to its events."""
    if frame.startswith(_HEAD):
        reader = _reader_of(frame[_NAME : frame.find(b'"', _NAME)])
        if reader is not None:
            return [reader.convert(reader.wrapped(frame).data, instrument, local_timestamp)]
    return [_other(frame, instrument, local_timestamp)]


def _other(frame: bytes, instrument: Instrument, local_timestamp: int) -> Normalized:
    stream, data = "", orjson.loads(frame)
    if wrapped := "stream" in data:
        stream, data = data["stream"], data["data"]
    if type(data) is not dict:
        if stream.startswith("!") and type(data) is list:
            return Ignored(stream)
        raise FrameError("an array that is no all-market stream" if type(data) is list else "not an object")
    found = _read_by_shape(data, stream)
    if isinstance(found, Ignored):
        return found
    read = found.wrapped(frame).data if wrapped else found.bare(frame)
    return found.convert(read, instrument, local_timestamp)


def _read_by_shape(data: dict[str, Any], stream: str) -> _Reader | Ignored:
    """How to read it, or what it is that is not read."""
    kind = data.get("e")
    # Books that have the shape of the diff book or of REST's snapshot and are neither: the top levels only.
    if stream.partition("@depth")[2][:1].isdigit() and (kind == "depthUpdate" or "lastUpdateId" in data):
        return Ignored("partial depth")
    if "@rpiDepth" in stream:  # USD-M's, with orders of a kind that others cannot take
        return Ignored("rpiDepth")
    if stream == "!bookTicker":
        return Ignored(stream)
    if kind == "depthUpdate":
        return _DEPTH
    if kind == "bookTicker" or (kind is None and "B" in data and "u" in data):
        return _TICKER
    if kind == "trade":
        return _TRADE
    return _SEED if "lastUpdateId" in data else _named(data, kind)


def _named(frame: dict[str, Any], kind: str | None) -> Ignored:
    if kind in _NOT_BUILT:
        return Ignored(str(kind))
    if kind is None and (("id" in frame and "result" in frame) or "code" in frame or "error" in frame):
        return Ignored("control")
    if "serverTime" in frame and "symbols" in frame:  # REST, in some recordings
        return Ignored("exchangeInfo")
    raise FrameError(f"unknown channel: {kind!r}")
