"""Parse what HTX publishes besides trading (docs/protocols/htx.md §4.4, §5.4).

Tickers, candles, mark and index prices come as ticks of a topic; funding rates and liquidations as rows of a
notification. Volumes are in base and quote units: the contracts that swaps publish besides are not needed.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from schemas.channels import candles_of
from schemas.errors import FrameError
from schemas.exchanges.htx import PERIODS, SPOT_PERIODS
from schemas.instruments import Instrument
from schemas.intervals import end_of
from streams.decimals import fitted, plain
from streams.normalize.messages import Candle, Ignored, Liquidation, Normalized, Reading
from streams.normalize.numbers import MOST_DIGITS, are_plain, micros, number, positive, signed, update_id

_SIDES = frozenset({"buy", "sell"})
_LONGEST_TEXT = 100  # characters of a number

_Reader = Callable[[dict[str, Any], int, Instrument], Normalized]  # of a tick, with the time of sending in µs


def total(value: str | int | None) -> str | None:
    """Return a sum, rounded to a column's decimal places: HTX's have up to forty. None if it is not published."""
    if type(value) is not str or (len(value) <= MOST_DIGITS and are_plain(value)):
        return None if value is None else number(value)
    if len(value) > _LONGEST_TEXT:
        raise FrameError(f"out of range: a number of {len(value)} characters")
    try:
        return number(plain(fitted(Decimal(value))))
    except InvalidOperation:
        raise FrameError(f"not a decimal: {value!r}") from None


def _positive(value: str | int) -> str:
    return positive(number(value))


def _quote_volume(tick: dict[str, Any], instrument: Instrument) -> str | None:
    # `vol` is in quote units in spot, and in contracts elsewhere. Coin-margined contracts have no `trade_turnover`.
    return total(tick.get("vol" if instrument.kind == "spot" else "trade_turnover"))


def _trades(tick: dict[str, Any]) -> int | None:
    count = tick.get("count")
    return None if count is None else update_id(count)


def _ticker(tick: dict[str, Any], timestamp: int, instrument: Instrument) -> Reading:
    fields = {
        "last": _positive(tick["close"]),
        "open": _positive(tick["open"]),
        "high": _positive(tick["high"]),
        "low": _positive(tick["low"]),
        "volume": total(tick.get("amount")),
        "quote_volume": _quote_volume(tick, instrument),
        "trades": _trades(tick),
        "window": "24h",
    }
    return Reading("market.tickers", "tickers", timestamp, fields)


def _candle(interval: str, tick: dict[str, Any], timestamp: int, instrument: Instrument) -> Candle:
    start = micros(update_id(tick["id"]) * 1000)  # days and longer begin at midnight of UTC+8
    return Candle(
        candles_of(interval),
        timestamp,
        interval,
        start,
        end_of(start, interval),
        _positive(tick["open"]),
        _positive(tick["high"]),
        _positive(tick["low"]),
        _positive(tick["close"]),
        total(tick.get("amount")),
        _quote_volume(tick, instrument),
        _trades(tick),
    )


def _derived_price(channel: str, field: str, tick: dict[str, Any], timestamp: int, instrument: Instrument) -> Reading:
    """Read a bar of a price that is not traded: the newest bar closes at its current value."""
    return Reading("market.mark_prices", channel, timestamp, {field: _positive(tick["close"])})


READERS: dict[str, _Reader] = {
    "detail": _ticker,
    "ticker": _ticker,
    **{f"kline.{period}": partial(_candle, interval) for interval, period in SPOT_PERIODS.items()},
    **{f"mark_price.{period}": partial(_derived_price, "mark_prices", "mark_price") for period in PERIODS.values()},
    **{f"index.{period}": partial(_derived_price, "index_prices", "index_price") for period in PERIODS.values()},
}
"""By HTX's name of the channel."""


def funding(timestamp: int, row: dict[str, Any], instrument: Instrument) -> Normalized:
    """Read a row of funding rates; `timestamp`: of sending, µs."""
    if row["contract_code"] != instrument.exchange_symbol:
        return Ignored("another contract")
    # `funding_time` is when the rate was calculated, `settlement_time` when it will be paid.
    fields = {
        "type": "estimated",
        "rate": signed(row["funding_rate"]),
        "next_funding_at": micros(int(row["settlement_time"])),
    }
    return Reading("market.funding", "funding", timestamp, fields)


def liquidation(row: dict[str, Any], instrument: Instrument) -> Normalized:
    """Read a row of liquidations. Its price is that of the order: the bankruptcy price."""
    if row["contract_code"] != instrument.exchange_symbol:
        return Ignored("another contract")
    side, price, amount = row["direction"], _positive(row["price"]), _positive(row["amount"])
    if side not in _SIDES:
        raise FrameError(f"not a side: {side!r}")
    return Liquidation("liquidations", micros(row["created_at"]), side, price, None, amount, sampled=False)
