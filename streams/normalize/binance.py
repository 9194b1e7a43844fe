"""Binance spot and USD-M futures (PROTOCOLS §1.4, §2.3): trades, diff book, BBO, REST depth snapshots."""

from typing import Any

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.events import Depth, Ignored, Normalized, Quote, Trade
from streams.normalize.values import check_name, level, levels, micros, positive

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


def normalize(frame: Any, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """One frame, in the combined wrapper (`{"stream", "data"}`) or bare, to its events."""
    stream = ""
    if "stream" in frame:
        stream, frame = frame["stream"], frame["data"]
    if type(frame) is not dict:
        return _array(frame, stream)
    kind = frame.get("e")
    if kind == "depthUpdate":
        return _other_book(stream) or _depth(frame, instrument)
    if stream == "!bookTicker":
        return [Ignored(stream)]
    if kind == "bookTicker" or (kind is None and "B" in frame and "u" in frame):
        return _book_ticker(frame, instrument, local_timestamp)
    if kind == "trade":
        return _trade(frame, instrument)
    if "lastUpdateId" in frame:
        return _snapshot(frame, stream, local_timestamp)
    return _other(frame, kind)


def _array(frame: Any, stream: str) -> list[Normalized]:
    if stream.startswith("!") and type(frame) is list:
        return [Ignored(stream)]
    raise FrameError("an array that is no all-market stream" if type(frame) is list else "not an object")


def _other(frame: dict[str, Any], kind: str | None) -> list[Normalized]:
    if kind in _NOT_BUILT:
        return [Ignored(str(kind))]
    if kind is None and (("id" in frame and "result" in frame) or "code" in frame or "error" in frame):
        return [Ignored("control")]
    if "serverTime" in frame and "symbols" in frame:  # REST, in some recordings
        return [Ignored("exchangeInfo")]
    raise FrameError(f"unknown channel: {kind!r}")


def _trade(frame: dict[str, Any], instrument: Instrument) -> list[Normalized]:
    check_name(frame["s"], instrument)
    mark = frame.get("X", "MARKET")
    if mark == "NA":
        return [Ignored("trade X=NA")]
    if type(frame["m"]) is not bool or type(frame["t"]) is not int:
        raise FrameError("trade with a maker flag or an id of a wrong type")
    # `m`: the buyer was the maker, so the taker sold.
    side = "sell" if frame["m"] else "buy"
    price, amount = positive(frame["p"]), positive(frame["q"])
    return [Trade(micros(frame["T"]), str(frame["t"]), price, amount, side, _TRADE_KINDS.get(mark, str(mark).lower()))]


def _book_ticker(frame: dict[str, Any], instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    check_name(frame["s"], instrument)
    # Spot's BBO has no time at all; the futures' `T` is the matching time.
    stamp = micros(frame["T"]) if "T" in frame else local_timestamp
    if type(frame["u"]) is not int:
        raise FrameError(f"not an update id: {frame['u']!r}")
    return [Quote(stamp, frame["u"], _side(frame["b"], frame["B"]), _side(frame["a"], frame["A"]))]


def _side(price: str, amount: str) -> list[list[str]]:
    # An empty side is sent as zero price and amount.
    return level(price, amount) if float(price) else []


def _other_book(stream: str) -> list[Normalized]:
    """Books of USD-M that have the shape of the diff book and are none: the top levels only, or with RPI orders."""
    if stream.partition("@depth")[2][:1].isdigit():
        return [Ignored("partial depth")]
    return [Ignored("rpiDepth")] if "@rpiDepth" in stream else []


def _depth(frame: dict[str, Any], instrument: Instrument) -> list[Normalized]:
    check_name(frame["s"], instrument)
    first, last, previous = frame["U"], frame["u"], frame.get("pu", -1)
    if not (type(first) is type(last) is type(previous) is int):
        raise FrameError(f"update ids of a wrong type: {first!r}, {last!r}, {previous!r}")
    stamp = micros(frame.get("T", frame["E"]))
    return [Depth("update", stamp, first, last, previous, levels(frame["b"]), levels(frame["a"]))]


def _snapshot(frame: dict[str, Any], stream: str, local_timestamp: int) -> list[Normalized]:
    if "@depth" in stream:  # a partial book: the same shape as the REST snapshot, but the top levels only
        return [Ignored("partial depth")]
    last = frame["lastUpdateId"]
    if type(last) is not int:
        raise FrameError(f"not an update id: {last!r}")
    stamp = micros(frame["T"]) if "T" in frame else local_timestamp
    return [Depth("seed", stamp, last, last, -1, levels(frame["bids"]), levels(frame["asks"]))]
