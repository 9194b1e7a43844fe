"""Parse HTX spot and linear swaps (docs/protocols/htx.md §4.4, §5.4): trades, L2 books, BBO.

Amounts of swaps are in contracts. Prices are numbers, some with an exponent: their text is kept. Everything else that
a topic may hold is parsed by `figures.py`.
"""

from functools import partial
from typing import Any

import msgspec
from msgspec import Raw

from schemas.errors import FrameError
from schemas.exchanges.htx import index_of
from schemas.instruments import Instrument
from streams.normalize.amounts import base_amount, check_convertible
from streams.normalize.book_sides import level, number_levels, numeric_levels, quote_of
from streams.normalize.htx.figures import READERS, funding, liquidation
from streams.normalize.messages import NO_LEVELS, BookMessage, CheckedLevels, Ignored, Normalized, Quote, Trade
from streams.normalize.numbers import check_name, exact, micros, number, positive, update_id
from streams.normalize.rows import read_rows

_SIDES = frozenset({"buy", "sell"})
# A channel is what follows `market.<symbol>.` in a topic. Those that nobody needs:
_UNSUPPORTED = (
    "premium_index", "basis",  # follow from the mark and the index price
    "estimated_rate",  # the same as the funding rate
    "overview", "tickers",  # all symbols at once: the symbols' own tickers say the same
    "etp", "iopv", "nav",  # net asset values of leveraged tokens, which are funds
)  # fmt: skip
# The same of `public.<contract>.`: definitions come from REST, and a heartbeat is of a whole service.
_UNSUPPORTED_PUBLIC = frozenset({"contract_info", "contract_elements", "heartbeat"})
_CONTROL = frozenset({"ping", "pong", "subbed", "unsubbed", "sub", "unsub", "req", "action"})
_BOOKS = ("mbp.", "depth.")
_OPERATIONS = frozenset({"ping", "pong", "sub", "unsub", "auth", "close", "error"})


_fields = msgspec.json.Decoder(dict[str, Raw]).decode  # the sides of books are cut, not decoded


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the messages of one frame, which may hold several trades."""
    message = _fields(frame)
    topic = exact(message["ch"]) if "ch" in message else None
    if topic is None:
        return _other(frame, exact(frame), instrument)
    symbol, channel = _parts(topic)
    if "status" in message:  # REST, in some recordings
        return [Ignored("rest")]
    if channel.startswith(_UNSUPPORTED):
        return [Ignored(channel)]
    _check_symbol(symbol, channel, instrument)
    return _market(frame, message, channel, instrument)


def _market(frame: bytes, message: dict[str, Raw], channel: str, instrument: Instrument) -> list[Normalized]:
    if channel == "trade.detail":
        return read_rows(trade, exact(message["tick"])["data"], instrument, frame, "tick", "data")
    if channel == "bbo":
        return [_bbo(exact(message["tick"]), instrument)]
    if channel.startswith(_BOOKS):
        depth = _book(message, channel)
        check_convertible(instrument, depth.bids, depth.asks)
        return [depth]
    if (read := READERS.get(channel)) is None:
        raise FrameError(f"unknown channel: {channel!r}")
    return [read(exact(message["tick"]), micros(exact(message["ts"])), instrument)]


def _book(message: dict[str, Raw], channel: str) -> BookMessage:
    tick = _fields(message["tick"])
    if channel.startswith("depth.size_"):
        return _high_frequency(tick)
    name, _, size = channel.rpartition(".")
    if name == "mbp" and size.isdigit():
        return _mbp(exact(message["ts"]), tick)
    if name == "mbp.refresh" and size.isdigit():
        return _whole(exact(message["ts"]), update_id(exact(tick["seqNum"])), tick)
    if channel.startswith("depth.step") and channel[10:].isdigit():
        # The `version` of swaps is only a second: several books share it.
        return _whole(exact(tick["ts"]), update_id(exact(tick["mrid" if "mrid" in tick else "version"])), tick)
    raise FrameError(f"unknown channel: {channel!r}")


def _parts(topic: str) -> tuple[str, str]:
    """Split `market.btcusdt.mbp.150` into `btcusdt`, `mbp.150`; all markets' `market.overview` into ``, `overview`."""
    market, _, rest = topic.partition(".") if type(topic) is str else ("", "", "")
    symbol, _, channel = rest.partition(".")
    if market != "market":
        raise FrameError(f"unknown channel: {topic!r}")
    return (symbol, channel) if channel else ("", symbol)


def _check_symbol(symbol: str, channel: str, instrument: Instrument) -> None:
    # Swaps are named in the case that the client used to subscribe. Futures have the index of their pair.
    known = instrument.exchange_symbol
    if symbol.lower() != known.lower() and not (channel.startswith("index.") and symbol.upper() == index_of(known)):
        check_name(symbol, instrument)


def _other(text: bytes, frame: dict[str, Any], instrument: Instrument) -> list[Normalized]:
    """Read frames without a channel: responses, pings of both dialects, requested snapshots, notifications."""
    if "rep" in frame:
        return _answer(frame, instrument)
    if frame.get("op") == "notify":
        return _notification(text, frame, instrument)
    if _CONTROL & frame.keys() or frame.get("status") == "error" or frame.get("op") in _OPERATIONS:
        return [Ignored("control")]
    if frame.get("status") == "ok" and ("data" in frame or "ts" in frame):  # REST, in some recordings
        return [Ignored("rest")]
    raise FrameError("neither data nor a response")


def _notification(text: bytes, frame: dict[str, Any], instrument: Instrument) -> list[Normalized]:
    """Read a frame of `public.*`. It has rows of many contracts if it was subscribed to for all."""
    channel = str(frame.get("topic")).rpartition(".")[2]
    if channel in _UNSUPPORTED_PUBLIC:
        return [Ignored(channel)]
    if channel == "funding_rate":
        messages = read_rows(partial(funding, micros(frame["ts"])), frame["data"], instrument, text, "data")
    elif channel == "liquidation_orders":
        messages = read_rows(liquidation, frame["data"], instrument, text, "data")
    else:
        raise FrameError(f"unknown channel: {frame.get('topic')!r}")
    return [message for message in messages if type(message) is not Ignored]


def _answer(frame: dict[str, Any], instrument: Instrument) -> list[Normalized]:
    symbol, channel = _parts(frame["rep"])
    if not (channel.startswith("mbp.") and channel[4:].isdigit()):
        return [Ignored(channel)]
    _check_symbol(symbol, channel, instrument)
    data = frame.get("data")
    if data is None:  # the symbol is not ready: ingest requests it again
        return [Ignored("empty snapshot")]
    last, bids, asks = update_id(data["seqNum"]), numeric_levels(data["bids"]), numeric_levels(data["asks"])
    check_convertible(instrument, bids, asks)
    return [BookMessage("seed", micros(frame["ts"]), last, last, -1, bids, asks)]


def trade(row: dict[str, Any], instrument: Instrument) -> Trade:
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


def _whole(stamp: Any, last: int, tick: dict[str, Raw]) -> BookMessage:
    """Read a book of the best or of merged levels. A side without orders is omitted."""
    return BookMessage("snapshot", micros(stamp), last, last, -1, _changes(tick, "bids"), _changes(tick, "asks"))


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
