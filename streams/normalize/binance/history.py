"""Parse what Binance's REST API and public data files hold of the past: docs/protocols/binance.md §1.6, §2.5, §2.8."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.amounts import base_amount
from streams.normalize.binance.figures import Bar, candle_of_bar
from streams.normalize.messages import Candle, Normalized, Reading, Trade
from streams.normalize.numbers import check_name, micros, number, positive, update_id
from streams.normalize.rows import read_rows

Parameters = dict[str, str]


class Context:
    """What the rows of an answer are read with; they do not name their instrument."""

    def __init__(self, parameters: Parameters, instrument: Instrument) -> None:
        check_name(parameters["symbol"], instrument)
        self.instrument = instrument
        self.interval = parameters.get("interval", "")


def _rows(
    read: Callable[[Any, Context], Normalized], body: bytes, parameters: Parameters, instrument: Instrument
) -> list[Normalized]:
    rows = orjson.loads(body)
    if type(rows) is not list:
        raise FrameError("malformed: not a list of rows")
    return read_rows(read, rows, Context(parameters, instrument), body)


def candle(row: list[Any], context: Context) -> Candle:
    """Read `[start, open, high, low, close, volume, last ms, other volume, trades, bought, paid, …]`."""
    start, opened, high, low, close, volume, _, other, trades, bought, paid, *_ = row
    bar = Bar(
        t=start, i=context.interval, o=opened, h=high, l=low, c=close, v=volume, q=other, V=bought, Q=paid,
        n=update_id(trades), x=True,
    )  # fmt: skip
    return candle_of_bar(bar, "", start, context.instrument)


def _mark_price(row: list[Any], context: Context) -> Reading:
    """Read a candle of the mark price, of which the first price is that of its start."""
    start, opened, *_ = row
    return Reading("market.mark_prices", "", micros(start), {"mark_price": positive(opened)})


def _open_interest(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    # USD-M's is of a symbol, COIN-M's of a pair and a type of contract.
    check_name(parameters["symbol"] if "symbol" in parameters else f"{parameters['pair']}_PERP", instrument)
    rows = orjson.loads(body)
    if type(rows) is not list:
        raise FrameError("malformed: not a list of rows")
    return read_rows(_interest, rows, instrument, body)


def _interest(row: dict[str, Any], instrument: Instrument) -> Reading:
    names = ("contracts", "amount") if instrument.inverse else ("amount", "value")
    figures = (number(row["sumOpenInterest"]), number(row["sumOpenInterestValue"]))
    return Reading("market.open_interest", "", micros(row["timestamp"]), dict(zip(names, figures, strict=True)))


def _trade(row: dict[str, Any], context: Context) -> Trade:
    return made_trade(context.instrument, row["id"], row["price"], row["qty"], row["time"], row["isBuyerMaker"])


def _aggregated(row: dict[str, Any], context: Context) -> Trade:
    return made_trade(context.instrument, row["a"], row["p"], row["q"], row["T"], row["m"])


def made_trade(instrument: Instrument, count: int, price: str, amount: str, stamp: int, is_maker: bool) -> Trade:
    """Return a trade. `is_maker`: the buyer was the maker, so the taker sold."""
    if type(is_maker) is not bool:
        raise FrameError(f"not a side: {is_maker!r:.60}")
    price, amount, count = positive(price), positive(amount), update_id(count)
    base = base_amount(instrument, price, amount)
    own = amount if instrument.inverse else ""
    return Trade(micros(stamp), str(count), price, base, "sell" if is_maker else "buy", "normal", own, count, count)


def _reader(read: Callable[[Any, Context], Normalized]) -> Callable[..., list[Normalized]]:
    def normalize(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
        return _rows(read, body, parameters, instrument)

    return normalize


_CANDLES, _AGGREGATED, _MARK_PRICES = _reader(candle), _reader(_aggregated), _reader(_mark_price)

HISTORY: Mapping[str, Callable[[bytes, Parameters, Instrument, int], list[Normalized]]] = {
    "/api/v3/klines": _CANDLES,
    "/fapi/v1/klines": _CANDLES,
    "/dapi/v1/klines": _CANDLES,
    "/api/v3/historicalTrades": _reader(_trade),
    "/fapi/v1/markPriceKlines": _MARK_PRICES,
    "/dapi/v1/markPriceKlines": _MARK_PRICES,
    "/futures/data/openInterestHist": _open_interest,
    "/api/v3/aggTrades": _AGGREGATED,
    "/fapi/v1/aggTrades": _AGGREGATED,
    "/dapi/v1/aggTrades": _AGGREGATED,
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
