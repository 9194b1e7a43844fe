"""OKX v5 (PROTOCOLS §3.4): trades, L2 books, BBO. Amounts of derivatives are contracts."""

from typing import Any

import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.amounts import base_amount
from streams.normalize.events import Depth, Ignored, Normalized, Quote, Trade
from streams.normalize.values import check_name, levels, micros, positive, quote_of

_BOOKS = frozenset({"books", "books-l2-tbt", "books50-l2-tbt"})
_NOT_BUILT = frozenset(
    {
        "tickers", "trades-all", "books5", "books-elp", "books-rpi", "mark-price", "index-tickers", "funding-rate",
        "open-interest", "price-limit", "liquidation-orders", "liquidation-warning", "estimated-price", "opt-summary",
        "instruments", "status",
    }
)  # fmt: skip
_NOT_BUILT_FAMILIES = ("candle", "mark-price-candle", "index-candle")
_SIDES = frozenset({"buy", "sell"})


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """One frame to its events; `trades` may carry several."""
    message = orjson.loads(frame)
    if "event" in message or "op" in message:  # `op`: our own requests, which some recordings hold
        return [Ignored("control")]
    if "table" in message:
        raise FrameError(f"a frame of the v3 protocol, which OKX has given up: {message['table']}")
    arg = message["arg"]
    channel = arg["channel"]
    if channel in _NOT_BUILT or channel.startswith(_NOT_BUILT_FAMILIES):
        return [Ignored(channel)]
    rows = message["data"]
    if type(rows) is not list or not rows:
        raise FrameError(f"{channel} without data")
    check_name(arg["instId"], instrument)
    if channel in _BOOKS:
        return [_depth(row, message["action"]) for row in rows]
    if channel == "bbo-tbt":
        return [_bbo(row) for row in rows]
    if channel == "trades":
        return [_trade(row, instrument) for row in rows]
    raise FrameError(f"unknown channel: {channel!r}")


def _trade(row: dict[str, Any], instrument: Instrument) -> Trade:
    if row["side"] not in _SIDES:
        raise FrameError(f"not a side: {row['side']!r}")
    if not row["tradeId"] or type(row["tradeId"]) is not str:
        raise FrameError(f"not a trade id: {row['tradeId']!r}")
    price, size = positive(row["px"]), positive(row["sz"])
    amount = base_amount(instrument, price, size)
    number, count = _numbers(row)
    return Trade(micros(int(row["ts"])), row["tradeId"], price, amount, row["side"], "normal", size, number, count)


def _numbers(row: dict[str, Any]) -> tuple[int, int]:
    """The trade's number, and how many fills were merged up to it: ids are consecutive where `count` comes along."""
    trade_id, count = row["tradeId"], str(row.get("count", ""))
    if len(trade_id) > 18 or len(count) > 6 or not (trade_id + count).isdecimal() or not int(count or 0):
        return -1, 1
    return int(trade_id), int(count)


def _depth(row: dict[str, Any], action: str) -> Depth:
    # Before `seqId` came there was a checksum only: ids are then 0 and always follow.
    last, previous = row.get("seqId", 0), row.get("prevSeqId", 0)
    checksum = row.get("checksum", 0)
    if not (type(last) is type(previous) is type(checksum) is int):
        raise FrameError(f"sequence ids of a wrong type: {last!r}, {previous!r}, {checksum!r}")
    if action not in ("snapshot", "update"):
        raise FrameError(f"unknown book action: {action!r}")
    bids, asks, stamp = levels(row["bids"]), levels(row["asks"]), micros(int(row["ts"]))
    return Depth("snapshot" if action == "snapshot" else "update", stamp, last, last, previous, bids, asks, checksum)


def _bbo(row: dict[str, Any]) -> Quote:
    sequence = row.get("seqId", 0)
    if type(sequence) is not int:
        raise FrameError(f"not a sequence id: {sequence!r}")
    return quote_of(micros(int(row["ts"])), sequence, levels(row["bids"]), levels(row["asks"]))
