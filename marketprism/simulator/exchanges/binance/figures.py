"""Binance's payloads besides trades and books: docs/protocols/binance.md §1.4, §2.3, §2.5, §2.7.

Volumes of COIN-M count contracts where those of the others are in base units, and are in coins where theirs are in the
quote currency.
"""

from decimal import Decimal
from typing import Any

from marketprism.simulator.market.candles import Candle, Volume
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.liquidations import Liquidation
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.tape import TapeTrade

_DAY_MS = 86_400_000


def price_text(listing: Listing, price: Decimal) -> str:
    """Return a price as Binance writes it."""
    return listing.price_text(int(price / listing.tick))


def _volumes(listing: Listing, volume: Volume) -> tuple[str, str]:
    """Return the traded amount in the unit of amounts, and in the other unit."""
    return listing.amount_text(int(volume.own / listing.lot)), f"{volume.base if listing.inverse else volume.quote:.8f}"


def _prices(listing: Listing, candle: Candle) -> dict[str, str]:
    prices = {"o": candle.open, "c": candle.close, "h": candle.high, "l": candle.low}
    return {name: price_text(listing, price) for name, price in prices.items()}


def mini_ticker(listing: Listing, day: Candle, now: int) -> dict[str, Any]:
    """Return a `24hrMiniTicker` event."""
    volume, other = _volumes(listing, day.traded)
    head = {"e": "24hrMiniTicker", "E": now, "s": listing.exchange_symbol}
    return head | _prices(listing, day) | {"v": volume, "q": other}


def ticker(instrument: SimulatedInstrument, day: Candle, now: int) -> dict[str, Any]:
    """Return a `24hrTicker` event."""
    listing, change, last_id = instrument.listing, day.close - day.open, instrument.trade_ids.stop - 1
    mean = day.quote_volume / day.base_volume if day.base_volume else day.close
    changes = {"p": f"{change:f}", "P": f"{100 * change / day.open:.3f}", "w": f"{mean:.8f}"}
    ids = {"F": last_id - day.trades + 1, "L": last_id, "n": day.trades}
    event = mini_ticker(listing, day, now) | {"e": "24hrTicker"} | changes
    return event | {"Q": listing.amount_text(1), "O": now - _DAY_MS, "C": now} | ids


def kline(instrument: SimulatedInstrument, interval: str, candle: Candle, now: int) -> dict[str, Any]:
    """Return a `kline` event."""
    symbol, last_id = instrument.listing.exchange_symbol, instrument.trade_ids.stop - 1
    bar = {"s": symbol, "f": last_id - candle.trades + 1, "L": last_id}
    return {"e": "kline", "E": now, "s": symbol, "k": _bar(instrument.listing, interval, candle) | bar}


def continuous_kline(
    instrument: SimulatedInstrument, pair: str, contract: str, interval: str, candle: Candle, now: int
) -> dict[str, Any]:
    """Return a `continuous_kline` event. Its ids are those of book updates."""
    bar = _bar(instrument.listing, interval, candle) | {"f": instrument.book.sequence, "L": instrument.book.sequence}
    return {"e": "continuous_kline", "E": now, "ps": pair, "ct": contract.upper(), "k": bar}


def _bar(listing: Listing, interval: str, candle: Candle) -> dict[str, Any]:
    volume, other = _volumes(listing, candle.traded)
    bought, paid = _volumes(listing, candle.taker_bought)
    times = {"t": candle.start, "T": candle.end - 1, "i": interval}
    volumes = {"v": volume, "n": candle.trades, "x": candle.closed, "q": other, "V": bought, "Q": paid, "B": "0"}
    return times | _prices(listing, candle) | volumes


def forced_order(listing: Listing, found: Liquidation, now: int) -> dict[str, Any]:
    """Return a `forceOrder` event."""
    amount = listing.amount_text(found.lots)
    prices = {"p": listing.price_text(found.price), "ap": listing.price_text(found.average)}
    order: dict[str, Any] = {"s": listing.exchange_symbol, "S": found.side.upper(), "o": "LIMIT", "f": "IOC"}
    order |= prices | {"X": "FILLED", "q": amount, "l": amount, "z": amount, "T": found.at_ms}
    if listing.inverse:
        order["ps"] = listing.underlying + listing.quote
    return {"e": "forceOrder", "E": now, "o": order}


# REST


def kline_row(listing: Listing, candle: Candle) -> list[Any]:
    """Return a row of `klines`."""
    bar = _bar(listing, "", candle)
    return [*(bar[name] for name in ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")), "0"]


def trade_row(listing: Listing, trade: TapeTrade) -> dict[str, Any]:
    """Return a row of `historicalTrades`."""
    value = f"{listing.price(trade.price) * trade.lots * listing.lot:.8f}"
    texts = {"price": listing.price_text(trade.price), "qty": listing.amount_text(trade.lots), "quoteQty": value}
    return {"id": trade.id} | texts | {"time": trade.at_ms, "isBuyerMaker": trade.side == "sell", "isBestMatch": True}


def aggregated_row(listing: Listing, trade: TapeTrade) -> dict[str, Any]:
    """Return a row of `aggTrades` that aggregates one trade."""
    ids = {"a": trade.id, "f": trade.id, "l": trade.id}
    texts = {"p": listing.price_text(trade.price), "q": listing.amount_text(trade.lots)}
    return ids | texts | {"T": trade.at_ms, "m": trade.side == "sell", "M": True}


def open_interest(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return the answer of `openInterest`: base units on USD-M, contracts on COIN-M."""
    listing, found = instrument.listing, instrument.positions.open_interest(now)
    text = listing.amount_text(int(found.own / listing.lot))
    return {"symbol": listing.exchange_symbol, "openInterest": text, "time": now}


def funding_row(instrument: SimulatedInstrument, at_ms: int) -> dict[str, Any]:
    """Return a row of `fundingRate`."""
    symbol, rate = instrument.listing.exchange_symbol, instrument.funding.settled(at_ms)
    return {"symbol": symbol, "fundingTime": at_ms, "fundingRate": f"{rate:.8f}"}


def shares_row(subject: dict[str, str], shares: tuple[Decimal, Decimal], what: str, at_ms: int) -> dict[str, Any]:
    """Return a row of long/short ratios. `what`: Account or Position."""
    long, short = shares
    found = {"longShortRatio": f"{long / short:.4f}", f"long{what}": f"{long}", f"short{what}": f"{short}"}
    return subject | found | {"timestamp": at_ms}


def takers_row(volumes: tuple[Decimal, Decimal], at_ms: int) -> dict[str, Any]:
    """Return a row of USD-M's taker volumes, which names no instrument."""
    bought, sold = volumes
    found = {"buySellRatio": f"{bought / sold:.4f}", "buyVol": f"{bought}", "sellVol": f"{sold}"}
    return found | {"timestamp": at_ms}


def pair_takers_row(pair: str, contract: str, volumes: tuple[Decimal, Decimal], at_ms: int) -> dict[str, Any]:
    """Return a row of COIN-M's taker volumes: in contracts of 100 dollars at a price of 50,000, and in coins."""
    bought, sold = volumes
    contracts = {"takerBuyVol": f"{bought * 500:.0f}", "takerSellVol": f"{sold * 500:.0f}"}
    coins = {"takerBuyVolValue": f"{bought}", "takerSellVolValue": f"{sold}"}
    return {"pair": pair, "contractType": contract} | contracts | coins | {"timestamp": at_ms}
