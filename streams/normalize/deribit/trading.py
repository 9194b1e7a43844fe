"""Parse Deribit v2 (docs/protocols/deribit.md §6.4): trades, L2 books, BBO; other frames go to `figures`.

Amounts of inverse perpetuals and futures are in US dollars. Frames are JSON-RPC with prices as numbers: `exact` keeps
their text.
"""

from typing import Any

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.amounts import base_amount, check_convertible
from streams.normalize.book_sides import level, numeric_levels, quote_of
from streams.normalize.deribit.figures import candle, ticker
from streams.normalize.messages import NO_LEVELS, BookMessage, CheckedLevels, Ignored, Normalized, Quote, Trade
from streams.normalize.numbers import check_name, exact, micros, number, positive, trade_id, update_id
from streams.normalize.rows import read_rows

# Channels without events of their own.
_UNSUPPORTED = frozenset(
    {
        # `ticker` and `trades` carry the same of each instrument.
        "incremental_ticker", "perpetual", "deribit_price_index", "markprice", "estimated_expiration_price",
        "block_trade_confirmations",
        # They are about an index, of which there are no events: its sources, its statistics and its volatility.
        "deribit_price_ranking", "deribit_price_statistics", "deribit_volatility_index",
        # Ingest reads them.
        "instrument", "platform_state", "announcements",
        # They are addressed to an account.
        "block_rfq", "rfq", "user",
    }
)  # fmt: skip
_SIDES = frozenset({"buy", "sell"})
_ACTIONS = frozenset({"new", "change", "delete"})
_LIQUIDATIONS = {"T": "liquidation_taker", "M": "liquidation_maker", "MT": "liquidation_both"}


def normalize(frame: bytes, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Return the messages of one frame, which may hold several trades."""
    message = exact(frame)
    if type(message) is not dict:
        raise FrameError("malformed: not an object")
    if message.get("method") != "subscription":
        return _control(message)
    params = message["params"]
    name = params["channel"]
    if type(name) is not str:
        raise FrameError(f"not a channel name: {name!r}")
    match name.split("."):
        case ["trades", symbol, _]:
            check_name(symbol, instrument)  # the frame's; each row is checked separately
            return read_rows(trade, params["data"], instrument, frame, "params", "data")
        case ["book", _, _]:
            return [_depth(params["data"], instrument)]
        case ["quote", *_]:
            return [_quote(params["data"], instrument)]
        case ["book", _, "none", _, _]:
            return [whole_book(params["data"], instrument)]
        case ["ticker", *_]:
            return list[Normalized](ticker(params["data"], instrument))
        case ["chart", "trades", symbol, resolution]:
            return [candle(params["data"], symbol, resolution, instrument, local_timestamp)]
    return [_unsupported(name)]


def _unsupported(name: str) -> Ignored:
    match name.split("."):
        case ["trades", _, _, _]:
            return Ignored("trades of a kind")  # all instruments of one kind and currency
        case ["book", _, _, _, _]:
            return Ignored("grouped book")  # its prices are rounded
        case [channel, *_] if channel in _UNSUPPORTED:
            return Ignored(channel)
    raise FrameError(f"unknown channel: {name!r}")


def _control(frame: dict[str, Any]) -> list[Normalized]:
    """Ignore responses, heartbeats, and the requests that some recordings hold. Raise `FrameError` for the rest."""
    method = frame.get("method", "")
    if type(method) is not str:
        raise FrameError(f"not a method name: {method!r}")
    if method == "heartbeat" or method.startswith(("public/", "private/")):
        return [Ignored("control")]
    if not method and frame.get("jsonrpc") and ("result" in frame or "error" in frame):
        return [Ignored("control")]
    raise FrameError(f"neither subscription data nor a response: {method!r}")


def trade(row: dict[str, Any], instrument: Instrument) -> Trade:
    check_name(row["instrument_name"], instrument)
    if row["direction"] not in _SIDES:
        raise FrameError(f"not a side: {row['direction']!r}")
    unique = trade_id(row["trade_id"])
    price, own = positive(number(row["price"])), positive(number(row["amount"]))
    amount = base_amount(instrument, price, own)
    sequence = update_id(row["trade_seq"]) if "trade_seq" in row else -1
    return Trade(micros(row["timestamp"]), unique, price, amount, row["direction"], _kind(row), own, sequence, sequence)


def _kind(row: dict[str, Any]) -> str:
    """Return a trade's kind. Legs of block trades and combinations arrive here too, at prices the book never had."""
    if row.get("block_trade_id"):
        return "block"
    if row.get("combo_id"):  # even if liquidated: its price is not one of the book's
        return "combo"
    mark = row.get("liquidation")
    return _LIQUIDATIONS.get(str(mark), "liquidation") if mark else "normal"


def _depth(data: dict[str, Any], instrument: Instrument) -> BookMessage:
    check_name(data["instrument_name"], instrument)
    # Frames of 2020 have no `type`: there, only changes have a previous id.
    previous = update_id(data["prev_change_id"]) if "prev_change_id" in data else -1
    kind = data.get("type", "snapshot" if previous < 0 else "change")
    if kind not in ("snapshot", "change") or (kind == "change") != (previous >= 0):
        raise FrameError(f"a book {kind!r} with previous id {previous}")
    last, stamp = update_id(data["change_id"]), micros(data["timestamp"])
    bids, asks = _levels(data["bids"]), _levels(data["asks"])
    check_convertible(instrument, bids, asks)
    return BookMessage("update" if kind == "change" else "snapshot", stamp, last, last, previous, bids, asks)


def whole_book(data: dict[str, Any], instrument: Instrument) -> BookMessage:
    """Return a book of the best levels, which follows no other."""
    check_name(data["instrument_name"], instrument)
    last, stamp = update_id(data["change_id"]), micros(data["timestamp"])
    bids, asks = numeric_levels(data["bids"]), numeric_levels(data["asks"])
    check_convertible(instrument, bids, asks)
    return BookMessage("snapshot", stamp, last, last, -1, bids, asks)


def _levels(entries: list[list[Any]]) -> CheckedLevels:
    """Convert `["change", 86749.5, 4000.0]` to `["86749.5", "4000.0"]`. Amounts are absolute for every action."""
    if not _ACTIONS.issuperset(entry[0] for entry in entries):
        raise FrameError(f"unknown book action among {entries!r:.100}")
    return numeric_levels((entry[1], "0" if entry[0] == "delete" else entry[2]) for entry in entries)


def _quote(data: dict[str, Any], instrument: Instrument) -> Quote:
    check_name(data["instrument_name"], instrument)
    bids = _side(data["best_bid_price"], data["best_bid_amount"])
    asks = _side(data["best_ask_price"], data["best_ask_amount"])
    check_convertible(instrument, bids, asks)
    return quote_of(micros(data["timestamp"]), 0, bids, asks)  # quotes have no id


def _side(price: Any, amount: Any) -> CheckedLevels:
    # A side without orders is sent as zeros or nulls.
    if price is None or amount is None:
        return NO_LEVELS
    price, amount = number(price), number(amount)
    return level(price, amount) if float(price) and float(amount) else NO_LEVELS
