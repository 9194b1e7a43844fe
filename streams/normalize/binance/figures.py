"""Parse what Binance publishes besides trades and books: docs/protocols/binance.md §1.4, §2.3.

Tickers, candles, mark prices with funding, and liquidations.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from schemas.channels import CONTINUOUS, candles_of
from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.intervals import INTERVALS, end_of
from streams.normalize.amounts import base_amount
from streams.normalize.binance.readers import reader_of
from streams.normalize.messages import Candle, Liquidation, Normalized, Reading
from streams.normalize.numbers import check_name, decimal, micros, positive, signed

_Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_SIDES = {"BUY": "buy", "SELL": "sell"}


class _Ticker(Struct, gc=False):
    s: str
    E: int
    c: str
    o: str
    h: str
    l: str  # noqa: E741 - the exchange's name
    v: str
    q: str
    n: _Count | None = None  # absent from mini tickers


class Bar(Struct, gc=False):
    t: int
    i: str
    o: str
    h: str
    l: str  # noqa: E741 - the exchange's name
    c: str
    v: str
    q: str
    V: str
    Q: str
    n: _Count
    x: bool


class _Kline(Struct, gc=False):
    s: str
    E: int
    k: Bar


class _ContinuousKline(Struct, gc=False):
    ps: str
    ct: str
    E: int
    k: Bar


class _MarkPrice(Struct, gc=False):
    s: str
    E: int
    p: str
    i: str = ""  # since 2020
    P: str = ""
    r: str = ""
    T: int = 0


class _Order(Struct, gc=False):
    s: str
    S: str
    q: str
    p: str
    ap: str
    T: int


class _ForcedOrder(Struct, gc=False):
    o: _Order


def _ticker(ticker: _Ticker, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    check_name(ticker.s, instrument)
    volume, quote_volume = _volumes(instrument, ticker.v, ticker.q)
    fields: dict[str, Any] = {
        "last": decimal(ticker.c),
        "open": decimal(ticker.o),
        "high": decimal(ticker.h),
        "low": decimal(ticker.l),
        "volume": volume,
        "quote_volume": quote_volume,
        "window": "24h",
    }
    if ticker.n is not None:
        fields["trades"] = ticker.n
    return [Reading("market.tickers", "tickers", micros(ticker.E), fields)]


def _volumes(instrument: Instrument, volume: str, other: str) -> tuple[str, str | None]:
    """Return base and quote volume. Where `volume` counts contracts (COIN-M), `other` is the base volume."""
    volume, other = decimal(volume), decimal(other)
    return (other, None) if instrument.inverse else (volume, other)


def _kline(kline: _Kline, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    check_name(kline.s, instrument)
    return [candle_of_bar(kline.k, "", kline.E, instrument)]


def _continuous_kline(kline: _ContinuousKline, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    # It names the pair. That of a perpetual of USD-M is its name.
    check_name(f"{kline.ps}_PERP" if instrument.inverse else kline.ps, instrument)
    contract = kline.ct.lower()
    if contract not in CONTINUOUS:
        raise FrameError(f"unknown continuous contract: {kline.ct!r:.60}")
    return [candle_of_bar(kline.k, contract, kline.E, instrument)]


def candle_of_bar(bar: Bar, contract: str, sent_at: int, instrument: Instrument) -> Candle:
    if bar.i not in INTERVALS:
        raise FrameError(f"unknown interval: {bar.i!r:.60}")
    volume, quote_volume = _volumes(instrument, bar.v, bar.q)
    bought, paid = _volumes(instrument, bar.V, bar.Q)
    start = micros(bar.t)
    return Candle(
        channel=candles_of(bar.i, contract),
        timestamp=micros(sent_at),
        interval=bar.i,
        start=start,
        end=end_of(start, bar.i),
        open=decimal(bar.o),
        high=decimal(bar.h),
        low=decimal(bar.l),
        close=decimal(bar.c),
        volume=volume,
        quote_volume=quote_volume,
        trades=bar.n,
        taker_buy_volume=bought,
        taker_buy_quote_volume=paid,
        closed=bar.x,
        contract=contract,
    )


def _mark_price(mark: _MarkPrice, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    check_name(mark.s, instrument)
    stamp = micros(mark.E)
    prices = {"mark_price": positive(mark.p), "index_price": _price(mark.i)}
    # One message of the channel, however many readings it holds.
    marked = Reading("market.mark_prices", "mark_prices", stamp, prices | {"settlement_price": _price(mark.P)})
    if not mark.T:  # a dated contract
        return [marked]
    funding = {"type": "estimated", "rate": signed(mark.r), "next_funding_at": micros(mark.T)}
    return [marked, Reading("market.funding", "", stamp, funding | prices)]


def _price(text: str) -> str | None:
    """Return a price, or None if it is empty or zero: there is none yet."""
    return positive(text) if text and float(decimal(text)) else None


def _forced_order(forced: _ForcedOrder, instrument: Instrument, local_timestamp: int) -> list[Normalized]:
    order = forced.o
    check_name(order.s, instrument)
    if order.S not in _SIDES:
        raise FrameError(f"not a side: {order.S!r:.60}")
    price, average, quantity = positive(order.p), _price(order.ap), positive(order.q)
    amount = base_amount(instrument, average or price, quantity)
    # The exchange sends only the latest order of each second.
    return [Liquidation("liquidations", micros(order.T), _SIDES[order.S], price, average, amount, sampled=True)]


TICKER, KLINE, CONTINUOUS_KLINE = (
    reader_of(_Ticker, _ticker), reader_of(_Kline, _kline), reader_of(_ContinuousKline, _continuous_kline),
)  # fmt: skip
MARK_PRICE, FORCED_ORDER = reader_of(_MarkPrice, _mark_price), reader_of(_ForcedOrder, _forced_order)
