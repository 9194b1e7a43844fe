"""Binance spot and USD-M futures (docs/protocols/binance.md §1.4, §2.3): trades, diff book, BBO, REST depth snapshots.

The types say what a frame must hold; msgspec checks that while it decodes. Three streams make nearly all of the traffic
and are decoded straight into them, by the stream's name; all others go the long way, which also finds the reasons.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
import orjson
from msgspec import Meta, Raw, Struct, ValidationError

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.book_sides import decoded_sides, quote_of_texts
from streams.normalize.messages import BookMessage, Ignored, Normalized, Quote, Trade, UsedUp
from streams.normalize.numbers import MOST_DIGITS, check_name, decimal, micros, positives

# Event types of channels that exist and are not supported.
_UNSUPPORTED = frozenset(
    {
        "aggTrade", "blockTrade", "kline", "continuous_kline", "24hrTicker", "24hrMiniTicker", "1hTicker", "4hTicker",
        "1dTicker", "avgPrice", "referencePrice", "markPriceUpdate", "indexPriceUpdate", "forceOrder", "contractInfo",
        "compositeIndex", "assetIndexUpdate", "tradingSession", "serverShutdown", "bookTicker_arr", "indexPrice_kline",
        "markPrice_kline", "EquityUpdate", "CommodityUpdate", "listenKeyExpired", "eventStreamTerminated",
    }
)  # fmt: skip

# USD-M marks some trades: `NA` are placeholders with zero price for ids that were used up without a trade.
_TRADE_KINDS = {"MARKET": "normal", "INSURANCE_FUND": "insurance_fund", "ADL": "adl"}
_KIND = re.compile(r"[A-Za-z0-9_]{1,32}")

_LARGEST_ID = (1 << 63) - 1
_Id = Annotated[int, Meta(ge=0, le=_LARGEST_ID)]
_Number = Annotated[str, Meta(max_length=MOST_DIGITS)]  # a longer one is looked at more closely


class _Trade(Struct, gc=False):
    s: str
    t: _Id
    p: _Number
    q: _Number
    T: int
    m: bool
    X: str = "MARKET"


class _Ticker(Struct, gc=False):
    s: str
    u: _Id
    b: _Number
    B: _Number
    a: _Number
    A: _Number
    T: int = 0


class _LongTrade(_Trade, gc=False):
    p: str
    q: str


class _LongTicker(_Ticker, gc=False):
    b: str
    B: str
    a: str
    A: str


class _Diff(Struct, gc=False):
    s: str
    U: _Id
    u: _Id
    b: Raw
    a: Raw
    E: int
    T: int = 0
    pu: Annotated[int, Meta(ge=-1, le=_LARGEST_ID)] = -1


class _Snapshot(Struct, gc=False):
    lastUpdateId: _Id
    bids: Raw
    asks: Raw
    T: int | None = None  # spot's have none


def _trade(trade: _Trade, instrument: Instrument, local_timestamp: int) -> Trade | UsedUp:
    if trade.s != instrument.exchange_symbol:  # asked here: a call for every frame takes its time
        check_name(trade.s, instrument)
    if trade.X == "NA":
        return UsedUp(trade.t)
    # `m`: the buyer was the maker, so the taker sold.
    side, kind = "sell" if trade.m else "buy", _TRADE_KINDS.get(trade.X) or _unknown_kind(trade.X)
    price, amount = positives(trade.p, trade.q)
    return Trade(micros(trade.T), str(trade.t), price, amount, side, kind, "", trade.t, trade.t)


def _unknown_kind(mark: str) -> str:
    if not _KIND.fullmatch(mark):
        raise FrameError(f"not a kind of trade: {mark!r:.60}")
    return mark.lower()


def _quote(ticker: _Ticker, instrument: Instrument, local_timestamp: int) -> Quote:
    if ticker.s != instrument.exchange_symbol:
        check_name(ticker.s, instrument)
    # Spot's BBO has no time at all; the futures' `T` is the matching time.
    stamp = micros(ticker.T) if ticker.T else local_timestamp
    return quote_of_texts(stamp, ticker.u, ticker.b, ticker.B, ticker.a, ticker.A)


def _depth(diff: _Diff, instrument: Instrument, local_timestamp: int) -> BookMessage:
    if diff.s != instrument.exchange_symbol:
        check_name(diff.s, instrument)
    bids, asks = decoded_sides(diff.b, diff.a)
    return BookMessage("update", micros(diff.T or diff.E), diff.U, diff.u, diff.pu, bids, asks)


def _seed(snapshot: _Snapshot, instrument: Instrument, local_timestamp: int) -> BookMessage:
    last, stamp = snapshot.lastUpdateId, local_timestamp if snapshot.T is None else micros(snapshot.T)
    return BookMessage("seed", stamp, last, last, -1, *decoded_sides(snapshot.bids, snapshot.asks))


class _Reader(NamedTuple):
    """How one kind of frame is read: in the combined wrapper, or bare."""

    wrapped: Callable[[bytes], Any]
    bare: Callable[[bytes], Any]
    convert: Callable[[Any, Instrument, int], Normalized]
    numbers: tuple[str, ...] = ()  # fields that are too long to be right as they are


def _reader(
    data: type[Struct], convert: Callable[[Any, Instrument, int], Normalized], numbers: tuple[str, ...] = ()
) -> _Reader:
    wrapper = msgspec.defstruct("_Wrapper", [("data", data)], gc=False)
    return _Reader(msgspec.json.Decoder(wrapper).decode, msgspec.json.Decoder(data).decode, convert, numbers)


_TRADE, _TICKER, _DEPTH = _reader(_Trade, _trade), _reader(_Ticker, _quote), _reader(_Diff, _depth)
_SEED = _reader(_Snapshot, _seed)
_LONG = {
    _TRADE: _reader(_LongTrade, _trade, ("p", "q")),
    _TICKER: _reader(_LongTicker, _quote, ("b", "B", "a", "A")),
}
_STREAMS = {b"trade": _TRADE, b"bookTicker": _TICKER, b"depth": _DEPTH}
_HEAD = b'{"stream":"'
_NAME = len(_HEAD)  # where the stream's name begins
_NAME_ENDS = 200  # at the latest


@lru_cache(maxsize=65536)
def _reader_of(stream: bytes) -> _Reader | None:
    """By `btcusdt@depth@100ms"`; none for partial books (`@depth5`), other channels, all markets (`!bookTicker`)."""
    return _STREAMS.get(stream[:-1].split(b"@")[1]) if b"@" in stream else None


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """One frame, in the combined wrapper (`{"stream", "data"}`) or bare, to its events."""
    if frame.startswith(_HEAD):
        # With its quote: of a name without an end nothing is left, which would be megabytes in the cache.
        reader = _reader_of(frame[_NAME : frame.find(b'"', _NAME, _NAME_ENDS) + 1])
        if reader is not None:
            try:
                data = reader.wrapped(frame).data
            except ValidationError:
                data = _long(reader, True, frame)
            return [reader.convert(data, instrument, local_timestamp)]
    return [_other(frame, instrument, local_timestamp)]


def _long(reader: _Reader, wrapped: bool, frame: bytes) -> Any:
    """What a frame with long numbers holds, these shortened; raises again what was wrong if it was anything else."""
    reader = _LONG.get(reader, reader)
    data = reader.wrapped(frame).data if wrapped else reader.bare(frame)
    for name in reader.numbers:
        setattr(data, name, decimal(getattr(data, name)))
    return data


def _other(frame: bytes, instrument: Instrument, local_timestamp: int) -> Normalized:
    stream, data = "", orjson.loads(frame)
    if wrapped := type(data) is dict and "stream" in data:
        stream, data = data["stream"], data["data"]
    if type(stream) is not str:
        raise FrameError(f"not the name of a stream: {stream!r:.60}")
    if type(data) is list:
        return _of_all_markets(data, stream)
    if type(data) is not dict:
        raise FrameError("malformed: not an object")
    found = _read_by_shape(data, stream)
    if isinstance(found, Ignored):
        return found
    try:
        data = found.wrapped(frame).data if wrapped else found.bare(frame)
    except ValidationError:
        data = _long(found, wrapped, frame)
    return found.convert(data, instrument, local_timestamp)


def _of_all_markets(rows: list[Any], stream: str) -> Ignored:
    """Arrays come on streams of all markets only; bare ones do not tell the stream, but their rows' event type."""
    if stream.startswith("!"):
        return Ignored(stream)
    kinds = {str(row.get("e")) if type(row) is dict else "" for row in rows}
    if kinds and kinds <= _UNSUPPORTED:
        return Ignored(min(kinds))
    raise FrameError("an array that is no all-market stream")


def _read_by_shape(data: dict[str, Any], stream: str) -> _Reader | Ignored:
    """How to read it, or what it is that is not read."""
    kind = data.get("e")
    # Books that have the shape of the diff book or of REST's snapshot and are neither: the top levels only.
    if stream.partition("@depth")[2][:1].isdigit() and (kind == "depthUpdate" or "lastUpdateId" in data):
        return Ignored("partial depth")
    if "@rpiDepth" in stream:  # USD-M's, with orders of a kind that others cannot take
        return Ignored("rpiDepth")
    if stream.startswith("!"):  # of all markets
        return Ignored(stream)
    if kind == "depthUpdate":
        return _DEPTH
    if kind == "bookTicker" or (kind is None and "B" in data and "u" in data):
        return _TICKER
    if kind == "trade":
        return _TRADE
    return _SEED if "lastUpdateId" in data else _named(data, stream)


def _named(frame: dict[str, Any], stream: str) -> Ignored:
    kind = frame.get("e")
    if kind in _UNSUPPORTED:
        return Ignored(str(kind))
    if kind is None and (("id" in frame and "result" in frame) or "code" in frame or "error" in frame):
        return Ignored("control")
    if "serverTime" in frame and "symbols" in frame:  # REST, in some recordings
        return Ignored("exchangeInfo")
    if not stream and kind is None:
        raise FrameError("neither data nor an answer: it has no event type")
    raise FrameError(f"unknown channel: {(stream or kind)!r}")
