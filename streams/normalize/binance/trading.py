"""Parse Binance spot and USD-M futures: trades, diff books, BBO, REST depth snapshots.

Protocol: docs/protocols/binance.md §1.4, §2.3. The struct types declare what a frame must hold, and msgspec checks that
while decoding. Three streams make up nearly all of the traffic: their frames are decoded straight into these types,
chosen by the stream's name. All other frames take the slow path (`_other`), which also finds the reason to reject one.
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
from streams.normalize.amounts import base_amount, base_levels, check_convertible
from streams.normalize.book_sides import decoded_sides, quote_of_texts
from streams.normalize.messages import BookMessage, Ignored, Normalized, Quote, Reading, Trade, UsedUp
from streams.normalize.numbers import MOST_DIGITS, check_name, decimal, micros, positive, positives, signed

# Event types of channels that exist but are not supported.
_UNSUPPORTED = frozenset(
    {
        "aggTrade", "blockTrade", "kline", "continuous_kline", "24hrTicker", "24hrMiniTicker", "1hTicker", "4hTicker",
        "1dTicker", "avgPrice", "referencePrice", "indexPriceUpdate", "forceOrder", "contractInfo",
        "compositeIndex", "assetIndexUpdate", "tradingSession", "serverShutdown", "bookTicker_arr", "indexPrice_kline",
        "markPrice_kline", "EquityUpdate", "CommodityUpdate", "listenKeyExpired", "eventStreamTerminated",
    }
)  # fmt: skip

# USD-M marks some trades. Not listed: `NA`, a zero-price placeholder for an id that was used up without a trade.
_TRADE_KINDS = {"MARKET": "normal", "INSURANCE_FUND": "insurance_fund", "ADL": "adl"}
_KIND = re.compile(r"[A-Za-z0-9_]{1,32}")

_LARGEST_ID = (1 << 63) - 1
_Id = Annotated[int, Meta(ge=0, le=_LARGEST_ID)]
_Number = Annotated[str, Meta(max_length=MOST_DIGITS)]  # longer ones are shortened by `_long`


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
    T: int | None = None  # absent on spot


class _MarkPrice(Struct, gc=False):
    s: str
    E: int
    p: str
    i: str = ""  # since 2020
    r: str = ""
    T: int = 0


def _trade(trade: _Trade, instrument: Instrument, local_timestamp: int) -> Trade | UsedUp:
    if trade.s != instrument.exchange_symbol:  # checked here too, which saves a call for every frame
        check_name(trade.s, instrument)
    if trade.X == "NA":
        return UsedUp(trade.t)
    # `m`: the buyer was the maker, so the taker sold.
    side, kind = "sell" if trade.m else "buy", _TRADE_KINDS.get(trade.X) or _unknown_kind(trade.X)
    price, amount = positives(trade.p, trade.q)
    if not instrument.inverse:
        return Trade(micros(trade.T), str(trade.t), price, amount, side, kind, "", trade.t, trade.t)
    base = base_amount(instrument, price, amount)  # coin-margined amounts are contracts
    return Trade(micros(trade.T), str(trade.t), price, base, side, kind, amount, trade.t, trade.t)


def _unknown_kind(mark: str) -> str:
    if not _KIND.fullmatch(mark):
        raise FrameError(f"not a trade kind: {mark!r:.60}")
    return mark.lower()


def _quote(ticker: _Ticker, instrument: Instrument, local_timestamp: int) -> Quote:
    if ticker.s != instrument.exchange_symbol:
        check_name(ticker.s, instrument)
    # Spot's BBO has no timestamp; in the futures', `T` is the matching time.
    stamp = micros(ticker.T) if ticker.T else local_timestamp
    quote = quote_of_texts(stamp, ticker.u, ticker.b, ticker.B, ticker.a, ticker.A)
    if instrument.inverse:
        base_levels(instrument, quote.bids + quote.asks)  # raises what must not be published
    return quote


def _depth(diff: _Diff, instrument: Instrument, local_timestamp: int) -> BookMessage:
    if diff.s != instrument.exchange_symbol:
        check_name(diff.s, instrument)
    bids, asks = decoded_sides(diff.b, diff.a)
    if instrument.inverse:
        check_convertible(instrument, bids, asks)
    return BookMessage("update", micros(diff.T or diff.E), diff.U, diff.u, diff.pu, bids, asks)


def _seed(snapshot: _Snapshot, instrument: Instrument, local_timestamp: int) -> BookMessage:
    last, stamp = snapshot.lastUpdateId, local_timestamp if snapshot.T is None else micros(snapshot.T)
    bids, asks = decoded_sides(snapshot.bids, snapshot.asks)
    check_convertible(instrument, bids, asks)
    return BookMessage("seed", stamp, last, last, -1, bids, asks)


def _funding(mark: _MarkPrice, instrument: Instrument, local_timestamp: int) -> Reading | Ignored:
    check_name(mark.s, instrument)
    if not mark.T:  # a dated contract
        return Ignored("markPrice")
    fields = {
        "type": "estimated",
        "rate": signed(mark.r),
        "next_funding_at": micros(mark.T),
        "mark_price": positive(mark.p),
        "index_price": positive(mark.i) if mark.i else None,
    }
    return Reading("market.funding", "mark_prices", micros(mark.E), fields)


class _Reader(NamedTuple):
    """Decoders and converter of one kind of frame, which arrives in the combined wrapper or bare."""

    wrapped: Callable[[bytes], Any]
    bare: Callable[[bytes], Any]
    convert: Callable[[Any, Instrument, int], Normalized]
    numbers: tuple[str, ...] = ()  # fields whose texts may be too long and are shortened


def _reader(
    data: type[Struct], convert: Callable[[Any, Instrument, int], Normalized], numbers: tuple[str, ...] = ()
) -> _Reader:
    wrapper = msgspec.defstruct("_Wrapper", [("data", data)], gc=False)
    return _Reader(msgspec.json.Decoder(wrapper).decode, msgspec.json.Decoder(data).decode, convert, numbers)


_TRADE, _TICKER, _DEPTH = _reader(_Trade, _trade), _reader(_Ticker, _quote), _reader(_Diff, _depth)
_SEED, _MARK = _reader(_Snapshot, _seed), _reader(_MarkPrice, _funding)
_LONG = {
    _TRADE: _reader(_LongTrade, _trade, ("p", "q")),
    _TICKER: _reader(_LongTicker, _quote, ("b", "B", "a", "A")),
}
_STREAMS = {b"trade": _TRADE, b"bookTicker": _TICKER, b"depth": _DEPTH, b"markPrice": _MARK}
_HEAD = b'{"stream":"'
_NAME = len(_HEAD)  # where the stream's name begins
_NAME_ENDS = 200  # where it ends at the latest


@lru_cache(maxsize=65536)
def _reader_of(stream: bytes) -> _Reader | None:
    """Return the reader of a stream, `btcusdt@depth@100ms"`.

    None for partial books (`@depth5`), other channels and all-market streams (`!bookTicker`).
    """
    return _STREAMS.get(stream[:-1].split(b"@")[1]) if b"@" in stream else None


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the messages of one frame, which is in the combined wrapper (`{"stream", "data"}`) or bare."""
    if frame.startswith(_HEAD):
        # Including the closing quote: where there is none, the slice is empty instead of megabytes in the cache.
        reader = _reader_of(frame[_NAME : frame.find(b'"', _NAME, _NAME_ENDS) + 1])
        if reader is not None:
            try:
                data = reader.wrapped(frame).data
            except ValidationError:
                data = _long(reader, True, frame)
            return [reader.convert(data, instrument, local_timestamp)]
    return [_other(frame, instrument, local_timestamp)]


def _long(reader: _Reader, wrapped: bool, frame: bytes) -> Any:
    """Decode a frame again and shorten its long numbers; if anything else was wrong with it, raise that again."""
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
        raise FrameError(f"not a stream name: {stream!r:.60}")
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
    """Return which all-market stream sent an array; others send none. Bare ones lack the name, but rows have a type."""
    if stream.startswith("!"):
        return Ignored(stream)
    kinds = {str(row.get("e")) if type(row) is dict else "" for row in rows}
    if kinds and kinds <= _UNSUPPORTED:
        return Ignored(min(kinds))
    raise FrameError("an array that is not from an all-market stream")


def _read_by_shape(data: dict[str, Any], stream: str) -> _Reader | Ignored:
    """Return the reader of a payload, or `Ignored` with the channel if it is not to be read."""
    kind = data.get("e")
    # Partial books look like diffs or REST snapshots, but hold the top levels only.
    if stream.partition("@depth")[2][:1].isdigit() and (kind == "depthUpdate" or "lastUpdateId" in data):
        return Ignored("partial depth")
    if "@rpiDepth" in stream:  # USD-M's book with retail price improvement orders, which most others cannot match
        return Ignored("rpiDepth")
    if stream.startswith("!"):  # all markets
        return Ignored(stream)
    if kind == "depthUpdate":
        return _DEPTH
    if kind == "bookTicker" or (kind is None and "B" in data and "u" in data):
        return _TICKER
    if kind == "trade":
        return _TRADE
    if kind == "markPriceUpdate":
        return _MARK
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
        raise FrameError("neither data nor a response: it has no event type")
    raise FrameError(f"unknown channel: {(stream or kind)!r}")
