"""OKX's payloads of figures: tickers, candles, and what is pushed of derivatives (docs/protocols/okx.md §3.4).

All figures are decimal strings, and times are ms.
"""

from decimal import Decimal
from typing import Any

from marketprism.simulator.exchanges.okx.definitions import instrument_type
from marketprism.simulator.exchanges.okx.frames import instrument_argument
from marketprism.simulator.market.candles import Candle
from marketprism.simulator.market.funding import Funding, next_funding_at
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import DAY_MS, UTC8_MS, every
from marketprism.simulator.market.liquidations import Liquidation
from marketprism.simulator.market.options import Greeks
from schemas.exchanges.okx import family_of

_CENT = Decimal("0.01")


def decimal_text(value: Decimal | None) -> str:
    """Return a decimal without trailing zeros and exponent; "" for None."""
    return "" if value is None else f"{value.normalize():f}"


def ticker(instrument: SimulatedInstrument, day: Candle, now: int) -> dict[str, Any]:
    """Return a push of `tickers`; `day`: the last 24 hours."""
    listing, book = instrument.listing, instrument.book
    (bid, bid_size), (ask, ask_size) = book.bids.top(1)[0], book.asks.top(1)[0]
    is_spot = instrument_type(listing) == "SPOT"
    row = {
        **_head(instrument),
        "last": decimal_text(day.close),
        "lastSz": listing.amount_text(1),  # invented
        "askPx": listing.price_text(ask),
        "askSz": listing.amount_text(ask_size),
        "bidPx": listing.price_text(bid),
        "bidSz": listing.amount_text(bid_size),
        "open24h": decimal_text(day.open),
        "high24h": decimal_text(day.high),
        "low24h": decimal_text(day.low),
        "volCcy24h": decimal_text(day.quote_volume if is_spot else day.base_volume),
        "vol24h": decimal_text(day.volume),
        "sodUtc0": _price_at_midnight(instrument, now, 0),
        "sodUtc8": _price_at_midnight(instrument, now, UTC8_MS),
        "ts": str(now),
    }
    return {"arg": instrument_argument("tickers", listing.exchange_symbol), "data": [row]}


def _price_at_midnight(instrument: SimulatedInstrument, now: int, offset_ms: int) -> str:
    start, _ = every(DAY_MS, offset_ms)(now)
    return instrument.listing.price_text(instrument.candles.last_price(start))


def candle(channel: str, instrument: SimulatedInstrument, candle: Candle) -> dict[str, Any]:
    """Return a push of `candle<bar>`."""
    row = candle_row(instrument, candle)
    return {"arg": instrument_argument(channel, instrument.listing.exchange_symbol), "data": [row]}


def candle_row(instrument: SimulatedInstrument, candle: Candle) -> list[str]:
    """Return a candle."""
    is_spot = instrument_type(instrument.listing) == "SPOT"
    figures = (
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.quote_volume if is_spot else candle.base_volume,
        candle.quote_volume,
    )
    return [str(candle.start), *map(decimal_text, figures), str(int(candle.closed))]


def funding_rate(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return a push of `funding-rate`."""
    funding, due = instrument.funding, next_funding_at(now)
    rate = decimal_text(funding.rate)
    row = {
        **_head(instrument),
        "fundingRate": rate,
        "fundingTime": str(due),
        "nextFundingTime": str(next_funding_at(due)),
        "nextFundingRate": "",
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "settState": "settled",
        "settFundingRate": decimal_text(funding.mean_rate),
        "premium": rate,
        "interestRate": "0",
        "impactValue": "20000",
        "method": "current_period",
        "formulaType": "withRate",
        "ts": str(now),
    }
    return {"arg": instrument_argument("funding-rate", instrument.listing.exchange_symbol), "data": [row]}


def mark_price(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return a push of `mark-price`."""
    row = {**_head(instrument), "markPx": decimal_text(instrument.mark), "ts": str(now)}
    return {"arg": instrument_argument("mark-price", instrument.listing.exchange_symbol), "data": [row]}


def index_ticker(index: str, funding: Funding, now: int) -> dict[str, Any]:
    """Return a push of `index-tickers` of a named index. Its past prices are invented: they are the current one."""
    price = decimal_text(funding.index)
    past = dict.fromkeys(("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), price)
    row = {"instId": index, "idxPx": price, **past, "ts": str(now)}
    return {"arg": instrument_argument("index-tickers", index), "data": [row]}


def open_interest(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return a push of `open-interest`. An option's price is in coins, so its value in USD is that of its coins."""
    found, index = instrument.positions.open_interest(now), instrument.funding.index
    row = {
        **_head(instrument),
        "oi": decimal_text(found.own),
        "oiCcy": decimal_text(found.base),
        "oiUsd": decimal_text((found.base * index).quantize(_CENT) if instrument.option else found.quote),
        "ts": str(now),
    }
    return {"arg": instrument_argument("open-interest", instrument.listing.exchange_symbol), "data": [row]}


def option_summary(instruments: list[SimulatedInstrument], family: str, now: int) -> dict[str, Any]:
    """Return a push of `opt-summary`, which has all options of a family."""
    return {
        "arg": {"channel": "opt-summary", "instFamily": family},
        "data": [_option(each, now) for each in instruments],
    }


def _option(instrument: SimulatedInstrument, now: int) -> dict[str, str]:
    option = instrument.option
    assert option is not None
    return {
        **_head(instrument),
        "uly": family_of(instrument.listing.exchange_symbol),
        **_greeks(option.coin_greeks, ""),
        **_greeks(option.greeks, "BS"),
        "lever": "",
        "markVol": decimal_text(option.mark_iv / 100),
        "bidVol": decimal_text(option.bid_iv / 100),
        "askVol": decimal_text(option.ask_iv / 100),
        "realVol": "",
        "volLv": decimal_text(option.mark_iv / 100),  # that at the money, which is not modelled apart
        "fwdPx": decimal_text(option.underlying_price),
        "ts": str(now),
    }


def _greeks(greeks: Greeks, suffix: str) -> dict[str, str]:
    return {f"{name}{suffix}": decimal_text(getattr(greeks, name)) for name in ("delta", "gamma", "vega", "theta")}


def estimated_price(instruments: list[SimulatedInstrument], now: int) -> dict[str, Any]:
    """Return a push of `estimated-price`, which has those instruments of a family that are about to be delivered."""
    listing = instruments[0].listing
    kind, family = instrument_type(listing), family_of(listing.exchange_symbol)
    rows = [
        {
            **_head(each),
            "settlePx": decimal_text(each.funding.index),
            "settleType": "exercise" if each.option else "delivery",
            "ts": str(now),
        }
        for each in instruments
    ]
    return {"arg": {"channel": "estimated-price", "instType": kind, "instFamily": family}, "data": rows}


def liquidation_order(instrument: SimulatedInstrument, order: Liquidation) -> dict[str, Any]:
    """Return a push of `liquidation-orders`."""
    listing, family = instrument.listing, family_of(instrument.listing.exchange_symbol)
    detail = {
        "side": order.side,
        "posSide": "long" if order.side == "sell" else "short",
        "bkPx": listing.price_text(order.price),
        "sz": listing.amount_text(order.lots),
        "bkLoss": "0",
        "ccy": "",
        "ts": str(order.at_ms),
    }
    row = {**_head(instrument), "instFamily": family, "uly": family, "details": [detail]}
    return {"arg": {"channel": "liquidation-orders", "instType": row["instType"]}, "data": [row]}


def _head(instrument: SimulatedInstrument) -> dict[str, Any]:
    return {"instType": instrument_type(instrument.listing), "instId": instrument.listing.exchange_symbol}
