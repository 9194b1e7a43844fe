"""HTX's payloads besides trades, BBOs and incremental books (docs/protocols/htx.md §4.4, §5.4, §5.6).

Statistics of 24 hours, candles, whole books, bars of mark and index prices, liquidations, and what is polled. Numbers
are JSON numbers with all digits, or text on the paths that send text; times are ms.
"""

from decimal import Decimal
from typing import Any

import orjson

from marketprism.simulator.exchanges.htx.frames import levels
from marketprism.simulator.market.book import Levels, Side
from marketprism.simulator.market.candles import Candle
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    UTC8_MS,
    Interval,
    every,
    months,
    weeks,
    years,
)
from marketprism.simulator.market.liquidations import Liquidation
from marketprism.simulator.market.listings import Listing

# By our names. Days and longer begin at midnight of UTC+8.
INTERVALS: dict[str, Interval] = {
    "1m": every(MINUTE_MS), "5m": every(5 * MINUTE_MS), "15m": every(15 * MINUTE_MS), "30m": every(30 * MINUTE_MS),
    "1h": every(HOUR_MS), "4h": every(4 * HOUR_MS), "1d": every(DAY_MS, UTC8_MS), "1w": weeks(UTC8_MS),
    "1M": months(UTC8_MS), "1y": years(UTC8_MS),
}  # fmt: skip
MERGED_TICKS = (1, 10, 100, 1000, 5000, 100_000)
"""Ticks of one level of a spot book, by its step."""


def _number(value: Decimal) -> Any:
    """Return a JSON number with all digits."""
    return orjson.Fragment(format(value, "f"))


# Ticks of topics


def spot_candle(instrument: SimulatedInstrument, interval: Interval, now: int) -> dict[str, Any]:
    """Return the running candle of spot."""
    return spot_sums(instrument.candles.current(interval, now))


def spot_sums(candle: Candle) -> dict[str, Any]:
    """Return a candle of spot."""
    # `vol` is in quote units.
    volumes = {"amount": _number(candle.base_volume), "vol": _number(candle.quote_volume), "count": candle.trades}
    return {"id": candle.start // 1000} | _prices(candle) | volumes


def linear_candle(instrument: SimulatedInstrument, interval: Interval, now: int) -> dict[str, Any]:
    """Return the running candle of a swap."""
    return linear_sums(instrument.candles.current(interval, now), instrument.book.sequence)


def linear_sums(candle: Candle, sequence: int) -> dict[str, Any]:
    """Return a candle of a swap."""
    # `vol` is in contracts.
    volumes = {"amount": _number(candle.base_volume), "vol": _number(candle.volume)}
    turnover = {"trade_turnover": _number(candle.quote_volume), "count": candle.trades}
    return {"id": candle.start // 1000, "mrid": sequence} | _prices(candle) | volumes | turnover


def _prices(candle: Candle) -> dict[str, Any]:
    prices = {"open": candle.open, "close": candle.close, "low": candle.low, "high": candle.high}
    return {name: _number(price) for name, price in prices.items()}


def spot_detail(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return the statistics of 24 hours of spot."""
    version = instrument.book.sequence
    return spot_sums(instrument.day.at(now)) | {"id": version, "version": version}


def spot_ticker(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return the statistics of 24 hours of spot with the BBO."""
    statistics = spot_sums(instrument.day.at(now))
    del statistics["id"]
    (bid, bid_size), (ask, ask_size) = _best(instrument)
    quote = {"bid": bid, "bidSize": bid_size, "ask": ask, "askSize": ask_size}
    return statistics | quote | {"lastPrice": statistics["close"], "lastSize": 0}


def linear_detail(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return the statistics of 24 hours of a swap."""
    bid, ask = _best(instrument)
    return linear_sums(instrument.day.at(now), instrument.book.sequence) | {"bid": bid, "ask": ask}


def _best(instrument: SimulatedInstrument) -> tuple[Any, Any]:
    book, listing = instrument.book, instrument.listing
    return levels(listing, book.bids.top(1))[0], levels(listing, book.asks.top(1))[0]


def mark_price(instrument: SimulatedInstrument, interval: Interval, now: int) -> dict[str, Any]:
    """Return the running bar of the mark price."""
    return _bar(instrument.funding.mark, interval, now)


def index_price(instrument: SimulatedInstrument, interval: Interval, now: int) -> dict[str, Any]:
    """Return the running bar of the index price."""
    return _bar(instrument.funding.index, interval, now)


def _bar(price: Decimal, interval: Interval, now: int) -> dict[str, Any]:
    # The market keeps no history of these prices, so that a bar has one price.
    value = format(price, "f")
    volumes = dict.fromkeys(("amount", "vol", "trade_turnover", "count"), "0")
    return {"id": interval(now)[0] // 1000, "open": value, "close": value, "high": value, "low": value} | volumes


# Whole books


def refreshed_book(instrument: SimulatedInstrument, count: int, now: int) -> dict[str, Any]:
    """Return the best levels of a spot book (`mbp.refresh`), which have no time."""
    return {"seqNum": instrument.book.sequence} | _sides(instrument, 1, count)


def spot_step(instrument: SimulatedInstrument, step: int, now: int) -> dict[str, Any]:
    """Return a spot book of merged levels, or of step 0 unmerged."""
    sides = _sides(instrument, MERGED_TICKS[step], 20 if step else 150)
    return sides | {"version": instrument.book.sequence, "ts": now}


def linear_step(instrument: SimulatedInstrument, topic: str, count: int, now: int) -> dict[str, Any]:
    """Return an unmerged book of a swap, whose version is only a second."""
    ids = {"mrid": instrument.book.sequence, "id": now // 1000, "ts": now, "version": now // 1000, "ch": topic}
    return ids | _sides(instrument, 1, count)


def _sides(instrument: SimulatedInstrument, ticks: int, count: int) -> dict[str, Any]:
    book, listing = instrument.book, instrument.listing
    sides = {"bids": book.bids, "asks": book.asks}
    return {name: levels(listing, _merged(side, ticks)[:count]) for name, side in sides.items()}


def _merged(side: Side, ticks: int) -> Levels:
    """Return a side's levels, best first, merged to multiples of `ticks` away from the mid price."""
    merged: dict[int, int] = {}
    for price, amount in side.top(len(side)):
        unit = side.sign * (side.sign * price // ticks) * ticks
        merged[unit] = merged.get(unit, 0) + amount
    return [*merged.items()]


# Notifications


def liquidation_order(listing: Listing, liquidation: Liquidation, topic: str, now: int) -> dict[str, Any]:
    """Return the push of a swap's liquidation order, whose price is that of bankruptcy."""
    coins = listing.base_amount(liquidation.lots, liquidation.price)
    price = listing.price(liquidation.price)
    row = {
        "symbol": listing.underlying,
        "contract_code": listing.exchange_symbol,
        "direction": liquidation.side,
        "offset": "close",
        "volume": liquidation.lots,
        "price": _number(price),
        "created_at": liquidation.at_ms,
        "amount": _number(coins),
        "trade_turnover": _number(coins * price),
        "contract_type": "swap",
        "pair": listing.exchange_symbol,
        "business_type": "swap",
    }
    return {"op": "notify", "topic": topic, "ts": now, "data": [row]}
