"""Deribit's payloads of figures: tickers, candles and hourly interest (docs/protocols/deribit.md §6).

They are JSON numbers: volumes with 8 decimals, greeks with 5.
"""

from decimal import Decimal
from typing import Any

from marketprism.simulator.exchanges.deribit import frames
from marketprism.simulator.market.candles import Candle
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import HOUR_MS
from marketprism.simulator.market.options import Option

_BAND = (0.98, 1.02)  # the lowest and highest price of orders, as shares of the mid price


def ticker(instrument: SimulatedInstrument, now_ms: int) -> dict[str, Any]:
    """Return a ticker without its time."""
    listing, funding = instrument.listing, instrument.funding
    low, high = (float(listing.price(int(instrument.mid * factor))) for factor in _BAND)
    day = instrument.day.at(now_ms)
    row = {
        "state": "open",
        "instrument_name": listing.exchange_symbol,
        "last_price": float(day.close),
        "settlement_price": float(instrument.mark),
        "min_price": low,
        "max_price": high,
        "estimated_delivery_price": float(funding.index),
        "stats": _stats(instrument, day),
    }
    if funding.is_derivative:
        row["open_interest"] = float(instrument.positions.open_interest(now_ms).own)
    if funding.rate is not None and funding.mean_rate is not None:
        rates = {"current_funding": float(funding.rate), "funding_8h": float(funding.mean_rate)}
        row |= rates | {"interest_value": 1.2}
    if instrument.option is not None:
        row |= _option(instrument.option, instrument.listing.exchange_symbol)
    return row | frames.reference_prices(instrument) | frames.best_levels(instrument)


def _stats(instrument: SimulatedInstrument, day: Candle) -> dict[str, float]:
    volumes = {"volume": _rounded(day.base_volume, 8)}
    if instrument.option is None:
        notional = _rounded(day.quote_volume, 8)
        volumes |= {"volume_usd": notional, "volume_notional": notional}
    else:
        volumes["volume_usd"] = _rounded(day.base_volume * instrument.funding.index, 2)
    change = _rounded((day.close / day.open - 1) * 100, 4)
    return {"high": float(day.high), "low": float(day.low), "price_change": change} | volumes


def _option(option: Option, name: str) -> dict[str, Any]:
    greeks = option.greeks
    names = ("delta", "gamma", "vega", "theta", "rho")
    return {
        "mark_iv": float(option.mark_iv),
        "bid_iv": float(option.bid_iv),
        "ask_iv": float(option.ask_iv),
        "greeks": {each: _rounded(getattr(greeks, each), 5) for each in names},
        "underlying_price": float(option.underlying_price),
        "underlying_index": f"SYN.{name.rsplit('-', 2)[0]}",  # of a future that is not listed
        "interest_rate": 0.0,
    }


def candle(bar: Candle) -> dict[str, Any]:
    """Return a candle, which does not tell whether it is complete."""
    prices = {name: float(getattr(bar, name)) for name in ("open", "high", "low", "close")}
    return {
        "tick": bar.start,
        "volume": _rounded(bar.base_volume, 8),
        "cost": _rounded(bar.quote_volume, 8),
    } | prices


def chart(bars: list[Candle]) -> dict[str, Any]:
    """Return candles as columns."""
    rows = [candle(bar) for bar in bars]
    names = ("open", "high", "low", "close", "volume", "cost")
    columns = {"ticks": [row["tick"] for row in rows]} | {name: [row[name] for row in rows] for name in names}
    return columns | {"status": "ok" if rows else "no_data"}


def interest_row(instrument: SimulatedInstrument, hour_ms: int) -> dict[str, Any]:
    """Return the interest of the hour that ended at `hour_ms`."""
    hours = [instrument.funding.settled(hour_ms - HOUR_MS * number) or Decimal(0) for number in range(8)]
    index, previous = (
        float(instrument.listing.price(instrument.past.price(at))) for at in (hour_ms, hour_ms - HOUR_MS)
    )
    return {
        "timestamp": hour_ms,
        "index_price": index,
        "prev_index_price": previous,
        "interest_1h": float(hours[0]),
        "interest_8h": float(sum(hours)),
    }


def _rounded(value: Decimal, places: int) -> float:
    return float(round(value, places))
