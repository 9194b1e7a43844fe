"""Choose the reader of each of Binance's frames.

The streams that make up nearly all of the traffic are recognised by their names, and their frames are decoded at once.
All other frames take the slow path (`_other`), which also finds the reason to reject one.
"""

from functools import lru_cache
from typing import Any

import orjson
from msgspec import ValidationError

from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.intervals import INTERVALS
from streams.normalize.binance.figures import CONTINUOUS_KLINE, FORCED_ORDER, KLINE, MARK_PRICE, TICKER
from streams.normalize.binance.readers import Reader
from streams.normalize.binance.trading import (
    AGGREGATED,
    DEPTH,
    LONG,
    PARTIAL,
    PARTIAL_OF_FUTURES,
    QUOTE,
    SEED,
    TRADE,
)
from streams.normalize.messages import Ignored, Normalized
from streams.normalize.numbers import decimal

# By the second word of a stream's name.
_STREAMS: dict[bytes, Reader] = {
    b"trade": TRADE,
    b"bookTicker": QUOTE,
    b"depth": DEPTH,
    b"aggTrade": AGGREGATED,
    b"ticker": TICKER,
    b"miniTicker": TICKER,
    b"markPrice": MARK_PRICE,
    b"forceOrder": FORCED_ORDER,
    **{f"kline_{each}".encode(): KLINE for each in INTERVALS},
    **{f"continuousKline_{each}".encode(): CONTINUOUS_KLINE for each in INTERVALS},
}
# By the event's type.
_EVENTS: dict[str, Reader] = {
    "trade": TRADE,
    "bookTicker": QUOTE,
    "depthUpdate": DEPTH,
    "aggTrade": AGGREGATED,
    "24hrTicker": TICKER,
    "24hrMiniTicker": TICKER,
    "markPriceUpdate": MARK_PRICE,
    "forceOrder": FORCED_ORDER,
    "kline": KLINE,
    "continuous_kline": CONTINUOUS_KLINE,
}
_UNSUPPORTED = frozenset(
    {
        "blockTrade",  # of spot, off the book: it is not documented whether they share the ids of other trades
        "1hTicker", "4hTicker", "1dTicker",  # sums over the last hours, as candles are
        "avgPrice", "referencePrice",  # of spot: what its own rules for orders refer to
        "indexPriceUpdate",  # of COIN-M: mark prices have it too
        "indexPrice_kline", "markPrice_kline",  # candles of prices that `mark_prices` has each second
        "compositeIndex", "assetIndexUpdate",  # of baskets, and of what margin is worth: of no instrument
        "tradingSession", "EquityUpdate", "CommodityUpdate",  # opening hours of stocks and commodities
        "contractInfo",  # ingest reads the listing anew
        "serverShutdown", "listenKeyExpired", "eventStreamTerminated",  # of the connection
    }
)  # fmt: skip
_HEAD = b'{"stream":"'
_NAME = len(_HEAD)  # where the stream's name begins
_NAME_ENDS = 200  # where it ends at the latest


@lru_cache(maxsize=65536)
def _reader_of(stream: bytes) -> Reader | None:
    """Return the reader of a stream, `btcusdt@depth@100ms"`.

    None for partial books (`@depth5`), unsupported streams and those of all markets (`!bookTicker`).
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
            return reader.convert(data, instrument, local_timestamp)
    return _other(frame, instrument, local_timestamp)


def _long(reader: Reader, wrapped: bool, frame: bytes) -> Any:
    """Decode a frame again and shorten its long numbers; if anything else was wrong with it, raise that again."""
    reader = LONG.get(reader, reader)
    data = reader.wrapped(frame).data if wrapped else reader.bare(frame)
    for name in reader.numbers:
        setattr(data, name, decimal(getattr(data, name)))
    return data


def _other(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    stream, data = "", orjson.loads(frame)
    if wrapped := type(data) is dict and "stream" in data:
        stream, data = data["stream"], data["data"]
    if type(stream) is not str:
        raise FrameError(f"not a stream name: {stream!r:.60}")
    if type(data) is list:
        return [_of_all_markets(data, stream)]
    if type(data) is not dict:
        raise FrameError("malformed: not an object")
    found = _read_by_shape(data, stream)
    if isinstance(found, Ignored):
        return [found]
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
    if kinds and kinds <= _EVENTS.keys() | _UNSUPPORTED:
        return Ignored(min(kinds))
    raise FrameError("an array that is not from an all-market stream")


def _read_by_shape(data: dict[str, Any], stream: str) -> Reader | Ignored:
    """Return the reader of a payload, or `Ignored` with the channel if it is not to be read."""
    kind = data.get("e")
    # Partial books look like diffs or REST snapshots, but hold all of the top levels, and those only.
    if stream.partition("@depth")[2][:1].isdigit() and (kind == "depthUpdate" or "lastUpdateId" in data):
        return PARTIAL if "lastUpdateId" in data else PARTIAL_OF_FUTURES
    if "@rpiDepth" in stream:  # USD-M's book with retail price improvement orders, which most others cannot match
        return Ignored("rpiDepth")
    if stream.startswith("!"):  # all markets, whose own streams carry the same
        return Ignored(stream)
    if kind is None and "B" in data and "u" in data:
        return QUOTE
    if type(kind) is str and kind in _EVENTS:
        return _EVENTS[kind]
    return SEED if "lastUpdateId" in data else _named(data, stream)


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
