"""Parse Binance's trades, books and BBOs: docs/protocols/binance.md §1.4, §2.3.

The struct types declare what a frame must hold, and msgspec checks that while decoding.
"""

import re
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.amounts import base_amount, base_levels, check_convertible
from streams.normalize.binance.readers import Reader, reader_of
from streams.normalize.book_sides import decoded_sides, quote_of_texts, rest_quote_of
from streams.normalize.messages import BookMessage, Normalized, Trade, UsedUp
from streams.normalize.numbers import MOST_DIGITS, check_name, micros, positives

# USD-M marks some trades. Not listed: `NA`, a zero-price placeholder for an id that was used up without a trade.
_TRADE_KINDS = {"MARKET": "normal", "INSURANCE_FUND": "insurance_fund", "ADL": "adl"}
_KIND = re.compile(r"[A-Za-z0-9_]{1,32}")

_LARGEST_ID = (1 << 63) - 1
_Id = Annotated[int, Meta(ge=0, le=_LARGEST_ID)]
_Number = Annotated[str, Meta(max_length=MOST_DIGITS)]  # longer ones are shortened


class _Trade(Struct, gc=False):
    s: str
    t: _Id
    p: _Number
    q: _Number
    T: int
    m: bool
    X: str = "MARKET"


class _Aggregated(Struct, gc=False):
    s: str
    a: _Id
    p: _Number
    q: _Number
    T: int
    m: bool


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


class _LongAggregated(_Aggregated, gc=False):
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


def _trade(trade: _Trade, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    if trade.s != instrument.exchange_symbol:  # checked here too, which saves a call for every frame
        check_name(trade.s, instrument)
    if trade.X == "NA":
        return [UsedUp(trade.t)]
    # `m`: the buyer was the maker, so the taker sold.
    side, kind = "sell" if trade.m else "buy", _TRADE_KINDS.get(trade.X) or _unknown_kind(trade.X)
    price, amount = positives(trade.p, trade.q)
    if not instrument.inverse:
        return [Trade(micros(trade.T), str(trade.t), price, amount, side, kind, "", trade.t, trade.t)]
    base = base_amount(instrument, price, amount)  # coin-margined amounts are contracts
    return [Trade(micros(trade.T), str(trade.t), price, base, side, kind, amount, trade.t, trade.t)]


def _aggregated(trade: _Aggregated, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    """Number aggregated trades by their own ids: on futures, those of the trades in them have holes."""
    check_name(trade.s, instrument)
    price, amount = positives(trade.p, trade.q)
    base = base_amount(instrument, price, amount)
    side, contracts = "sell" if trade.m else "buy", amount if instrument.inverse else ""
    return [Trade(micros(trade.T), str(trade.a), price, base, side, "normal", contracts, trade.a, trade.a)]


def _unknown_kind(mark: str) -> str:
    if not _KIND.fullmatch(mark):
        raise FrameError(f"not a trade kind: {mark!r:.60}")
    return mark.lower()


def _quote(ticker: _Ticker, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    if ticker.s != instrument.exchange_symbol:
        check_name(ticker.s, instrument)
    # Spot's BBO has no timestamp; in the futures', `T` is the matching time.
    stamp = micros(ticker.T) if ticker.T else local_timestamp
    quote = quote_of_texts(stamp, ticker.u, ticker.b, ticker.B, ticker.a, ticker.A)
    if instrument.inverse:
        base_levels(instrument, quote.bids + quote.asks)  # raises what must not be published
    return [quote]


def _depth(diff: _Diff, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    if diff.s != instrument.exchange_symbol:
        check_name(diff.s, instrument)
    bids, asks = decoded_sides(diff.b, diff.a)
    if instrument.inverse:
        check_convertible(instrument, bids, asks)
    return [BookMessage("update", micros(diff.T or diff.E), diff.U, diff.u, diff.pu, bids, asks)]


def _partial_of_futures(top: _Diff, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    check_name(top.s, instrument)
    bids, asks = decoded_sides(top.b, top.a)
    check_convertible(instrument, bids, asks)
    return [BookMessage("snapshot", micros(top.T or top.E), top.u, top.u, -1, bids, asks)]


def _seed(snapshot: _Snapshot, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    return [_whole_book("seed", snapshot, instrument, local_timestamp)]


def best_levels(
    body: bytes, parameters: dict[str, str], instrument: Instrument, local_timestamp: int
) -> list[Normalized]:
    """Return the quote of a snapshot's best levels. It does not name its instrument, except that of COIN-M."""
    check_name(parameters["symbol"], instrument)
    return [rest_quote_of(_whole_book("snapshot", SEED.bare(body), instrument, local_timestamp))]


def _partial(snapshot: _Snapshot, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    return [_whole_book("snapshot", snapshot, instrument, local_timestamp)]


def _whole_book(
    kind: Literal["seed", "snapshot"], snapshot: _Snapshot, instrument: Instrument, local_timestamp: int
) -> BookMessage:
    last, stamp = snapshot.lastUpdateId, local_timestamp if snapshot.T is None else micros(snapshot.T)
    bids, asks = decoded_sides(snapshot.bids, snapshot.asks)
    check_convertible(instrument, bids, asks)
    return BookMessage(kind, stamp, last, last, -1, bids, asks)


TRADE, AGGREGATED, QUOTE = reader_of(_Trade, _trade), reader_of(_Aggregated, _aggregated), reader_of(_Ticker, _quote)
DEPTH, SEED = reader_of(_Diff, _depth), reader_of(_Snapshot, _seed)
PARTIAL, PARTIAL_OF_FUTURES = reader_of(_Snapshot, _partial), reader_of(_Diff, _partial_of_futures)
LONG: dict[Reader, Reader] = {
    TRADE: reader_of(_LongTrade, _trade, ("p", "q")),
    AGGREGATED: reader_of(_LongAggregated, _aggregated, ("p", "q")),
    QUOTE: reader_of(_LongTicker, _quote, ("b", "B", "a", "A")),
}
"""Readers of frames with numbers that are too long, by the readers that find them so."""
