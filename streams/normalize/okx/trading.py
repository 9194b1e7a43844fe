"""Parse OKX v5 (docs/protocols/okx.md §3.4): trades, L2 books, BBO. Amounts of derivatives are in contracts.

Frames of other channels are parsed by `figures.py`.
"""

from collections.abc import Callable
from typing import Any, Literal

import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.amounts import base_amount, check_convertible
from streams.normalize.book_sides import levels, quote_of
from streams.normalize.messages import BookMessage, Ignored, Normalized, Quote, Trade
from streams.normalize.numbers import check_name, micros, positive, trade_id, update_id
from streams.normalize.okx.figures import parse_figures
from streams.normalize.rows import read_rows

_BOOKS = frozenset({"books", "books-l2-tbt", "books50-l2-tbt"})
# What holds no event of a kind:
_UNSUPPORTED = frozenset(
    {
        "books-elp", "books-rpi",  # the book with retail orders, which only retail takers can hit
        "option-trades",  # the trades of `trades`, by family
        "block-tickers", "public-block-trades", "public-struc-block-trades",  # negotiated away from the book
        "price-limit", "adl-warning", "call-auction-details",  # rules of order entry and of margin
        "instruments", "status", "event-contract-markets", "economic-calendar",  # about no trading of an instrument
        "liquidation-warning",  # private
    }
)  # fmt: skip
_UNSUPPORTED_FAMILIES = (
    "mark-price-candle", "index-candle",  # samples of the mark and index prices
    "sprd-",  # spreads of two instruments, which are traded apart from both
)  # fmt: skip
_IDS, _CHECKSUMS = 1 << 63, 1 << 31
_SIDES = frozenset({"buy", "sell"})


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the messages of one frame, which may have several rows."""
    message = orjson.loads(frame)
    try:
        arg, rows = message["arg"], message["data"]
        read = _READERS[arg["channel"], message.get("action")]
    except (KeyError, TypeError):
        return _others(message, frame, instrument, local_timestamp)
    if type(rows) is not list or not rows:
        raise FrameError(f"{arg['channel']} without data")
    check_name(arg["instId"], instrument)
    return read_rows(read, rows, instrument, frame, "data")


def _others(message: Any, frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the messages of a frame of other channels. Raise `FrameError` if it is of no known one."""
    if type(message) is not dict:
        raise FrameError("malformed: not an object")
    if "event" in message or "op" in message:  # `op`: our own requests, which some recordings hold
        return [Ignored("control")]
    if "table" in message:
        raise FrameError(f"a frame of the v3 protocol, which OKX has retired: {message['table']!r}")
    channel = message["arg"]["channel"]
    if type(channel) is not str:
        raise FrameError(f"not a channel name: {channel!r}")
    if channel in _UNSUPPORTED or channel.startswith(_UNSUPPORTED_FAMILIES):
        return [Ignored(channel)]
    if (figures := parse_figures(message, frame, instrument, local_timestamp)) is not None:
        return figures
    if channel in _BOOKS and message["action"] not in ("snapshot", "update"):
        raise FrameError(f"unknown book action: {message['action']!r}")
    if any(channel == known for known, _ in _READERS):
        check_name(message["arg"]["instId"], instrument)  # other exchanges send frames of this shape with an action
        raise FrameError(f"{channel} with an action" if "action" in message else f"{channel} without data")
    raise FrameError(f"unknown channel: {channel!r}")


def _trade(row: dict[str, Any], instrument: Instrument) -> Trade:
    if row["side"] not in _SIDES:
        raise FrameError(f"not a side: {row['side']!r}")
    number = trade_id(row["tradeId"])
    price, size = positive(row["px"]), positive(row["sz"])
    amount = base_amount(instrument, price, size)
    first, last = _numbers(number, row.get("count"))
    stamp = micros(int(row["ts"]))
    return Trade(stamp, number, price, amount, row["side"], "normal", size, first, last)


def fill(row: dict[str, Any], instrument: Instrument) -> Trade:
    return _trade(row | {"count": "1"}, instrument)


def _numbers(trade_id: str, merged: Any) -> tuple[int, int]:
    """Return the first and last number of the fills merged into a trade. With a `count`, ids are consecutive."""
    if len(trade_id) > 18 or not (trade_id.isascii() and trade_id.isdecimal()):
        return -1, -1
    last, count = int(trade_id), merged if type(merged) is str else ""
    if len(count) > 6 or not (count.isascii() and count.isdecimal()) or not int(count):
        return -1, last
    return max(last - int(count) + 1, 0), last


def _snapshot(row: dict[str, Any], instrument: Instrument) -> BookMessage:
    return _depth("snapshot", row, instrument)


def best_levels(row: dict[str, Any], instrument: Instrument) -> BookMessage:
    """Return a book of the best levels, which follows no other."""
    return _depth("snapshot", row | {"prevSeqId": -1}, instrument)


def _update(row: dict[str, Any], instrument: Instrument) -> BookMessage:
    return _depth("update", row, instrument)


def _depth(kind: Literal["snapshot", "update"], row: dict[str, Any], instrument: Instrument) -> BookMessage:
    # Before `seqId` was introduced there was only a checksum: ids are then 0, and each message follows the last.
    last, previous, checksum = row.get("seqId", 0), row.get("prevSeqId", 0), row.get("checksum", 0)
    if not (type(last) is type(previous) is type(checksum) is int):
        raise FrameError(f"sequence ids of the wrong type: {last!r}, {previous!r}, {checksum!r}")
    if not (0 <= last < _IDS and -1 <= previous < _IDS and -_CHECKSUMS <= checksum < _CHECKSUMS):
        raise FrameError(f"sequence ids out of range: {last}, {previous}, {checksum}")
    bids, asks = levels(row["bids"]), levels(row["asks"])
    check_convertible(instrument, bids, asks)
    return BookMessage(kind, micros(int(row["ts"])), last, last, previous, bids, asks, checksum)


def _bbo(row: dict[str, Any], instrument: Instrument) -> Quote:
    bids, asks = levels(row["bids"]), levels(row["asks"])
    check_convertible(instrument, bids, asks)
    return quote_of(micros(int(row["ts"])), update_id(row.get("seqId", 0)), bids, asks)


# Key: channel and action.
_READERS: dict[tuple[str, str | None], Callable[[dict[str, Any], Instrument], Normalized]] = {
    ("trades", None): _trade,
    ("bbo-tbt", None): _bbo,
    ("trades-all", None): fill,
    ("books5", None): best_levels,
    **{(channel, "snapshot"): _snapshot for channel in _BOOKS},
    **{(channel, "update"): _update for channel in _BOOKS},
}
