"""Parse HTX spot and linear swaps (docs/protocols/htx.md §4.4, §5.4): trades, L2 books, BBO.

Amounts of swaps are in contracts. Prices are numbers, some with an exponent: their text is kept.
"""

from typing import Any

import msgspec
from msgspec import Raw

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.amounts import base_amount, check_convertible
from streams.normalize.book_sides import level, number_levels, numeric_levels, quote_of
from streams.normalize.messages import NO_LEVELS, BookMessage, CheckedLevels, Ignored, Normalized, Quote, Reading, Trade
from streams.normalize.numbers import check_name, exact, micros, number, positive, signed, update_id
from streams.normalize.rows import read_rows

_SIDES = frozenset({"buy", "sell"})
# A channel is what follows `market.<symbol>.` in a topic. Steps 0 and 6 have the book's own prices, others merged ones.
_WHOLE_BOOKS = frozenset({"depth.step0", "depth.step6"})
_UNSUPPORTED = (
    "kline", "detail", "ticker", "depth.step", "mbp.refresh", "mark_price", "index", "premium_index", "basis",
    "estimated_rate", "etp", "iopv", "nav", "overview",
)  # fmt: skip
_UNSUPPORTED_PUBLIC = frozenset({"liquidation_orders", "contract_info", "heartbeat"})
_CONTROL = frozenset({"ping", "pong", "subbed", "unsubbed", "sub", "unsub", "req", "action"})
_OPERATIONS = frozenset({"ping", "pong", "sub", "unsub", "auth", "close", "error"})


_fields = msgspec.json.Decoder(dict[str, Raw]).decode  # the sides of books are cut, not decoded


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the messages of one frame, which may hold several trades."""
    message = _fields(frame)
    topic = exact(message["ch"]) if "ch" in message else None
    if topic is None:
        return _other(exact(frame), instrument)
    symbol, channel = _parts(topic)
    if "status" in message:  # REST, in some recordings
        return [Ignored("rest")]
    if channel.startswith(_UNSUPPORTED) and channel not in _WHOLE_BOOKS:
        return [Ignored(channel)]
    _check_symbol(symbol, instrument)
    return _market(frame, message, channel, instrument)


def _market(frame: bytes, message: dict[str, Raw], channel: str, instrument: Instrument) -> list[Normalized]:
    if channel == "trade.detail":
        return read_rows(_trade, exact(message["tick"])["data"], instrument, frame, "tick", "data")
    if channel == "bbo":
        return [_bbo(exact(message["tick"]), instrument)]
    depth = _book(message, channel)
    check_convertible(instrument, depth.bids, depth.asks)
    return [depth]


def _book(message: dict[str, Raw], channel: str) -> BookMessage:
    if channel.startswith("mbp.") and channel[4:].isdigit():
        return _mbp(exact(message["ts"]), _fields(message["tick"]))
    if channel.startswith("depth.size_"):
        return _high_frequency(_fields(message["tick"]))
    if channel in _WHOLE_BOOKS:
        return _whole(_fields(message["tick"]))
    raise FrameError(f"unknown channel: {channel!r}")


def _parts(topic: str) -> tuple[str, str]:
    """Split `market.btcusdt.mbp.150` into `btcusdt`, `mbp.150`; all markets' `market.overview` into ``, `overview`."""
    market, _, rest = topic.partition(".") if type(topic) is str else ("", "", "")
    symbol, _, channel = rest.partition(".")
    if market != "market":
        raise FrameError(f"unknown channel: {topic!r}")
    return (symbol, channel) if channel else ("", symbol)


def _check_symbol(symbol: str, instrument: Instrument) -> None:
    # Swaps are named in the case that the client used to subscribe.
    if symbol.lower() != instrument.exchange_symbol.lower():
        check_name(symbol, instrument)


def _other(frame: dict[str, Any], instrument: Instrument) -> list[Normalized]:
    """Read frames without a channel: responses, pings of both dialects, requested snapshots, notifications."""
    if "rep" in frame:
        return _answer(frame, instrument)
    if frame.get("op") == "notify":
        channel = str(frame.get("topic")).rpartition(".")[2]
        if channel in _UNSUPPORTED_PUBLIC:
            return [Ignored(channel)]
        if channel == "funding_rate":
            return [_funding(row, micros(frame["ts"]), instrument) for row in _own_rows(frame["data"], instrument)]
        raise FrameError(f"unknown channel: {frame.get('topic')!r}")
    if _CONTROL & frame.keys() or frame.get("status") == "error" or frame.get("op") in _OPERATIONS:
        return [Ignored("control")]
    if frame.get("status") == "ok" and ("data" in frame or "ts" in frame):  # REST, in some recordings
        return [Ignored("rest")]
    raise FrameError("neither data nor a response")


def _own_rows(rows: list[dict[str, Any]], instrument: Instrument) -> list[dict[str, Any]]:
    """Return the rows about the instrument: a frame of `public.*` has rows of many."""
    return [row for row in rows if row["contract_code"] == instrument.exchange_symbol]


def _funding(row: dict[str, Any], timestamp: int, instrument: Instrument) -> Reading:
    # `funding_time` is when the rate was calculated, `settlement_time` when it will be paid.
    fields = {
        "type": "estimated",
        "rate": signed(row["funding_rate"]),
        "next_funding_at": micros(int(row["settlement_time"])),
    }
    return Reading("market.funding", "funding", timestamp, fields)


def _answer(frame: dict[str, Any], instrument: Instrument) -> list[Normalized]:
    symbol, channel = _parts(frame["rep"])
    if not (channel.startswith("mbp.") and channel[4:].isdigit()):
        return [Ignored(channel)]
    _check_symbol(symbol, instrument)
    data = frame.get("data")
    if data is None:  # the symbol is not ready: ingest requests it again
        return [Ignored("empty snapshot")]
    last, bids, asks = update_id(data["seqNum"]), numeric_levels(data["bids"]), numeric_levels(data["asks"])
    check_convertible(instrument, bids, asks)
    return [BookMessage("seed", micros(frame["ts"]), last, last, -1, bids, asks)]


def _trade(row: dict[str, Any], instrument: Instrument) -> Trade:
    if row["direction"] not in _SIDES:
        raise FrameError(f"not a side: {row['direction']!r}")
    # Spot: `id` has more than 64 bits and arrives as a rounded number, so `tradeId` is the key.
    trade_id = update_id(row["tradeId"] if "tradeId" in row else row["id"])
    price, own = positive(number(row["price"])), positive(number(row["amount"]))
    amount = base_amount(instrument, price, own)
    return Trade(micros(row["ts"]), str(trade_id), price, amount, row["direction"], exchange_amount=own)


def _mbp(stamp: Any, tick: dict[str, Raw]) -> BookMessage:
    """Read an update. 5 and 20 levels omit a side that did not change. The only time is that of sending."""
    previous, last = update_id(exact(tick["prevSeqNum"])), update_id(exact(tick["seqNum"]))
    bids, asks = _changes(tick, "bids"), _changes(tick, "asks")
    return BookMessage("update", micros(stamp), previous + 1, last, previous, bids, asks)


def _changes(tick: dict[str, Raw], name: str) -> CheckedLevels:
    side = tick.get(name)
    return NO_LEVELS if side is None or bytes(side) == b"null" else number_levels(side)


def _high_frequency(tick: dict[str, Raw]) -> BookMessage:
    event, version, stamp = exact(tick["event"]), update_id(exact(tick["version"])), micros(exact(tick["ts"]))
    bids, asks = _changes(tick, "bids"), _changes(tick, "asks")
    if event == "snapshot":
        return BookMessage("snapshot", stamp, version, version, -1, bids, asks)
    if event != "update":
        raise FrameError(f"unknown book event: {event!r}")
    return BookMessage("update", stamp, version, version, max(version - 1, 0), bids, asks)


def _whole(tick: dict[str, Raw]) -> BookMessage:
    version, stamp = update_id(exact(tick["version"])), micros(exact(tick["ts"]))
    return BookMessage(
        "snapshot", stamp, version, version, -1, number_levels(tick["bids"]), number_levels(tick["asks"])
    )


def _bbo(tick: dict[str, Any], instrument: Instrument) -> Quote:
    if "seqId" in tick:  # spot; it numbers quotes and is unrelated to the books' ids
        stamp = micros(tick["quoteTime"])
        bids, asks = _side(tick.get("bid"), tick.get("bidSize")), _side(tick.get("ask"), tick.get("askSize"))
    else:
        stamp = micros(tick["ts"])
        bids, asks = _side(*(tick.get("bid") or (None, None))), _side(*(tick.get("ask") or (None, None)))
    check_convertible(instrument, bids, asks)
    return quote_of(stamp, 0, bids, asks)


def _side(price: Any, amount: Any) -> CheckedLevels:
    # A side without orders is absent.
    if price is None or amount is None:
        return NO_LEVELS
    return level(number(price), number(amount))
