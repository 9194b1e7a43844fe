"""Parse Deribit's figures (docs/protocols/deribit.md §6.4): tickers, which carry several kinds, and candles."""

from decimal import Decimal
from typing import Any

from schemas.channels import candles_of
from schemas.errors import FrameError
from schemas.exchanges.deribit import RESOLUTIONS
from schemas.instruments import Instrument
from schemas.intervals import end_of
from streams.decimals import fitted, plain
from streams.normalize.messages import Candle, Reading
from streams.normalize.numbers import MOST_DIGITS, check_name, micros, number, positive, signed

_INTERVALS = {resolution: interval for interval, resolution in RESOLUTIONS.items()}
_GREEKS = ("delta", "gamma", "vega", "theta", "rho")
_LONGEST_LABEL, _LONGEST_NUMBER = 64, 100  # characters


def ticker(data: dict[str, Any], instrument: Instrument) -> list[Reading]:
    """Return the readings of a ticker: the 24 h summary and, of derivatives, prices, open interest, rate and greeks."""
    check_name(data["instrument_name"], instrument)
    stamp = micros(data["timestamp"])
    by_topic = {}
    if data["last_price"] is not None:  # it was never traded
        by_topic["market.tickers"] = _summary(data, instrument)
    if instrument.kind != "spot":
        by_topic["market.mark_prices"] = _prices(data, instrument)
        by_topic["market.open_interest"] = _open_interest(data, instrument)
    if data.get("current_funding") is not None:  # only perpetuals have it
        by_topic["market.funding"] = _funding(data)
    if instrument.kind == "option":
        by_topic["market.options"] = _option(data)
    # One message of the channel, however many readings it holds.
    channels = ("tickers", *[""] * len(by_topic))
    return [
        Reading(topic, channel, stamp, fields)
        for channel, (topic, fields) in zip(channels, by_topic.items(), strict=False)
    ]


def _summary(data: dict[str, Any], instrument: Instrument) -> dict[str, Any]:
    stats = data["stats"]
    # The volume in quote currency is published of futures and spot pairs; frames before 2025 have it in dollars alone.
    in_quote = stats.get("volume_notional", stats.get("volume_usd") if instrument.inverse else None)
    # High, low and volume are null if there was no trade in 24 hours.
    return {
        "last": number(data["last_price"]),
        "high": _optional(stats["high"]),
        "low": _optional(stats["low"]),
        "volume": _volume(stats["volume"]),
        "quote_volume": _volume(in_quote),
        "window": "24h",
    }


def _prices(data: dict[str, Any], instrument: Instrument) -> dict[str, Any]:
    mark = number if instrument.kind == "option" else _price  # a hopeless option is worth nothing
    return {
        "mark_price": mark(data["mark_price"]),
        "index_price": _price(data["index_price"]),
        "settlement_price": _optional(data.get("estimated_delivery_price")),
    }


def _open_interest(data: dict[str, Any], instrument: Instrument) -> dict[str, Any]:
    # As all amounts: in US dollars of inverse perpetuals and futures, else in coins.
    return {"value" if instrument.inverse else "amount": number(data["open_interest"])}


def _funding(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "estimated",
        "rate": computed(data["current_funding"]),  # continuous: what 8 hours at the current rate would cost
        "interval_hours": 8,
        "mark_price": _price(data["mark_price"]),
        "index_price": _price(data["index_price"]),
    }


def _option(data: dict[str, Any]) -> dict[str, Any]:
    volatilities = {name: _fraction(data[name]) for name in ("mark_iv", "bid_iv", "ask_iv")}
    greeks = {name: computed(data["greeks"][name]) for name in _GREEKS}
    underlying = {
        "underlying_price": _optional(data["underlying_price"]),
        "underlying_index": _label(data["underlying_index"]),  # a future, or `SYN.` and one that is not listed
    }
    return volatilities | greeks | underlying | {"open_interest": number(data["open_interest"])}


def candle(data: dict[str, Any], symbol: str, resolution: str, instrument: Instrument, now: int) -> Candle:
    """Return a candle, which has no time of its own: `now` is its receipt, µs. Its last update is not marked."""
    check_name(symbol, instrument)
    if resolution not in _INTERVALS:
        raise FrameError(f"unknown resolution of candles: {resolution!r:.60}")
    interval, start = _INTERVALS[resolution], micros(data["tick"])
    return Candle(
        channel=candles_of(interval),
        timestamp=now,
        interval=interval,
        start=start,
        end=end_of(start, interval),
        open=_price(data["open"]),
        high=_price(data["high"]),
        low=_price(data["low"]),
        close=_price(data["close"]),
        volume=_volume(data["volume"]),
        quote_volume=_volume(data["cost"]),
    )


def computed(value: Any) -> str:
    """Return a computed figure, which may be negative, rounded to a column's places: it is sent with up to 22."""
    if type(value) is str and len(value) <= _LONGEST_NUMBER and ("e" in value.lower() or len(value) > MOST_DIGITS):
        return plain(fitted(Decimal(value)) or Decimal(0))  # never -0
    return signed(value)


def _fraction(percent: Any) -> str | None:
    """Shift the decimal point of a percentage. A price that no volatility explains, or none at all, is sent as 0."""
    text = _optional(percent)
    return number(f"{text}e-2") if text is not None and float(text) else None


def _price(value: Any) -> str:
    return positive(number(value))


def _volume(value: Any) -> str | None:
    return None if value is None else number(computed(value))


def _optional(value: Any) -> str | None:
    return None if value is None else number(value)


def _label(name: Any) -> str:
    if type(name) is not str or not 0 < len(name) <= _LONGEST_LABEL or not name.isprintable():
        raise FrameError(f"not a name: {name!r:.60}")
    return name
