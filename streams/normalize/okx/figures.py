"""Parse OKX's figures (docs/protocols/okx.md §3.4): tickers, candles, and what is published of derivatives.

A frame may have several rows, and those of a whole family or type have rows of other instruments too.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from msgspec.structs import replace

from schemas.channels import candles_of
from schemas.errors import FrameError
from schemas.exchanges.okx import BARS, index_of
from schemas.instruments import Instrument
from schemas.intervals import end_of
from streams.normalize.amounts import base_amount
from streams.normalize.messages import Candle, Ignored, Liquidation, Normalized, Reading
from streams.normalize.numbers import check_name, decimal, micros, positive, signed
from streams.normalize.rows import read_rows

_FUNDING = "market.funding"
_MARK_PRICES = "market.mark_prices"
_HOUR = 3_600_000_000  # µs
_SIDES = frozenset({"buy", "sell"})
_CLOSED = {"0": False, "1": True}
# In recordings, those of 6 hours and more may begin at midnight of UTC+8.
_INTERVALS = {f"candle{name}": interval for interval, bar in BARS.items() for name in (bar, bar.removesuffix("utc"))}


class Frame(NamedTuple):
    """What the rows of a frame are read with. `now`: µs of receipt."""

    channel: str
    instrument: Instrument
    now: int


def parse_figures(message: dict[str, Any], frame: bytes, instrument: Instrument, now: int) -> list[Normalized] | None:
    """Return the messages of a frame, of which there is at least one; None if it is of no channel known here."""
    channel = message["arg"]["channel"]
    context = Frame(channel, instrument, now)
    if channel in _OWN:
        _check_arg(message["arg"], instrument)
        return read_rows(_OWN[channel], _rows(message), context, frame, "data")
    if channel in _PRICES:
        _check_arg(message["arg"], instrument)
        return _with_funding(read_rows(_PRICES[channel], _rows(message), context, frame, "data"), instrument)
    if channel in _SHARED:
        read, rows_of = _SHARED[channel]
        own = [each for each in _rows(message) if _name_in(each) == instrument.exchange_symbol]
        rows = [row for each in own for row in rows_of(each)]
        return read_rows(read, rows, context, orjson.dumps(rows)) if rows else [Ignored(channel)]
    return None


def _rows(message: dict[str, Any]) -> list[Any]:
    rows = message.get("data")
    if type(rows) is not list or not rows:
        raise FrameError(f"{message['arg']['channel']} without data")
    return rows


def _name_in(row: dict[str, Any]) -> str:
    if type(name := row["instId"]) is not str:
        raise FrameError(f"not an instrument: {name!r:.60}")
    return name


def _check_arg(arg: dict[str, Any], instrument: Instrument) -> None:
    if arg["channel"] != "index-tickers":
        check_name(arg["instId"], instrument)
    elif arg["instId"] != index_of(instrument.exchange_symbol):
        raise FrameError(f"index {arg['instId']!r:.60} received as that of {instrument.exchange_symbol!r}")


def _published(text: str, check: Callable[[str], str] = decimal) -> str | None:
    """Return a checked decimal, or None for the empty text that OKX sends in place of one."""
    return None if text == "" else check(text)


def _time(row: dict[str, Any]) -> int:
    return micros(int(row["ts"]))


# Readings


def _ticker(row: dict[str, Any], context: Frame) -> Reading:
    is_spot = context.instrument.kind == "spot"  # whose volumes are in base and quote units
    fields = {
        "last": _published(row["last"], positive),
        "open": _published(row["open24h"], positive),
        "high": _published(row["high24h"], positive),
        "low": _published(row["low24h"], positive),
        "volume": _published(row["vol24h" if is_spot else "volCcy24h"]),
        "quote_volume": _published(row["volCcy24h"]) if is_spot else None,
        "trades": None,
        "window": "24h",
    }
    return Reading("market.tickers", "tickers", _time(row), fields)


def _funding(row: dict[str, Any], context: Frame) -> Reading:
    ends_at, next_at = micros(int(row["fundingTime"])), row.get("nextFundingTime")
    fields: dict[str, Any] = {
        "type": "estimated",
        "rate": signed(row["fundingRate"]),
        "next_funding_at": ends_at,
    }
    if next_at:
        fields["interval_hours"] = (micros(int(next_at)) - ends_at) // _HOUR
    return Reading(_FUNDING, "funding", _time(row), fields)


def _mark_price(row: dict[str, Any], context: Frame) -> Reading:
    return Reading(_MARK_PRICES, "mark_prices", _time(row), {"mark_price": positive(row["markPx"])})


def _index_price(row: dict[str, Any], context: Frame) -> Reading:
    return Reading(_MARK_PRICES, "index_prices", _time(row), {"index_price": positive(row["idxPx"])})


def _with_funding(prices: list[Normalized], instrument: Instrument) -> list[Normalized]:
    """Add the readings that a perpetual's funding has of the same prices. They count as one message of the channel."""
    if instrument.kind != "perp":
        return prices
    return prices + [replace(each, topic=_FUNDING, channel="") for each in prices if isinstance(each, Reading)]


def _settlement_price(row: dict[str, Any], context: Frame) -> Reading | Ignored:
    if row.get("settleType") == "settlement":  # of the running profits of a contract that goes on
        return Ignored(context.channel)
    fields = {"settlement_price": positive(row["settlePx"])}
    return Reading(_MARK_PRICES, "settlement_prices", _time(row), fields)


def _open_interest(row: dict[str, Any], context: Frame) -> Reading:
    is_in_usd = context.instrument.quote.partition(".")[0] == "USD"
    fields = {
        "contracts": decimal(row["oi"]),
        "amount": decimal(row["oiCcy"]),
        "value": _published(row.get("oiUsd", "")) if is_in_usd else None,
    }
    return Reading("market.open_interest", "open_interest", _time(row), fields)


def _option(row: dict[str, Any], context: Frame) -> Reading:
    fields = {
        "mark_iv": _published(row["markVol"]),
        "bid_iv": _published(row["bidVol"]),
        "ask_iv": _published(row["askVol"]),
        "delta": _published(row["deltaBS"], signed),
        "gamma": _published(row["gammaBS"], signed),
        "vega": _published(row["vegaBS"], signed),
        "theta": _published(row["thetaBS"], signed),
        "underlying_price": _published(row["fwdPx"], positive),
        "underlying_index": index_of(context.instrument.exchange_symbol),
    }
    return Reading("market.options", "options", _time(row), fields)


# Candles and liquidations


def candle(row: list[str], context: Frame) -> Candle:
    """Read `[ts, o, h, l, c, vol, volCcy, volCcyQuote, confirm]`. In 2022 there were only the first seven."""
    stamp, opened, high, low, close, own, volume, *rest = row
    interval, start, is_spot = _INTERVALS[context.channel], micros(int(stamp)), context.instrument.kind == "spot"
    quote_volume, closed = _rest(*rest) if rest else (None, None)
    return Candle(
        candles_of(interval),
        context.now,
        interval,
        start,
        end_of(start, interval),
        positive(opened),
        positive(high),
        positive(low),
        positive(close),
        decimal(own if is_spot else volume),
        decimal(volume) if is_spot else quote_volume,
        closed=closed,
    )


def _rest(quote_volume: str, *confirm: str) -> tuple[str, bool]:
    [closed] = confirm
    if closed not in _CLOSED:
        raise FrameError(f"neither open nor closed: {closed!r:.60}")
    return decimal(quote_volume), _CLOSED[closed]


def _details(row: dict[str, Any]) -> list[Any]:
    return list(row["details"])


def _liquidation(row: dict[str, Any], context: Frame) -> Liquidation:
    if row["side"] not in _SIDES:
        raise FrameError(f"not a side: {row['side']!r:.60}")
    price = positive(row["bkPx"])
    amount = base_amount(context.instrument, price, positive(row["sz"]))
    return Liquidation("liquidations", _time(row), row["side"], price, None, amount, sampled=True)


def _itself(row: dict[str, Any]) -> list[Any]:
    return [row]


_Reader = Callable[[Any, Frame], Normalized]
_OWN: Mapping[str, _Reader] = {
    "tickers": _ticker,
    "funding-rate": _funding,
    "open-interest": _open_interest,
    **dict.fromkeys(_INTERVALS, candle),
}
"""Readers of the channels of one instrument."""
_PRICES: Mapping[str, _Reader] = {"mark-price": _mark_price, "index-tickers": _index_price}
_SHARED: Mapping[str, tuple[_Reader, Callable[[dict[str, Any]], list[Any]]]] = {
    "estimated-price": (_settlement_price, _itself),
    "opt-summary": (_option, _itself),
    "liquidation-orders": (_liquidation, _details),
}
"""Readers of the channels of several instruments, and what they read of the row of one."""
