"""Binance's payloads: stream events, snapshots and symbol definitions (docs/protocols/binance.md §1, §2).

Prices and amounts are decimal strings as Binance writes them; a level is `[price, amount]`. Times are ms.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.funding import Funding, next_funding_at
from marketprism.simulator.market.listings import Listing
from schemas.symbols import parse_symbol

TextLevel = Sequence[str]
TextLevels = Sequence[TextLevel]


def text_levels(listing: Listing, levels: Levels) -> list[list[str]]:
    """Return levels in ticks and lots as decimal strings."""
    return [[listing.price_text(price), listing.amount_text(amount)] for price, amount in levels]


def combined(stream: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return the frame of an event on a combined stream."""
    return {"stream": stream, "data": data}


def snapshot(update_id: int, bids: TextLevels, asks: TextLevels, times: dict[str, int] | None = None) -> dict[str, Any]:
    """Return the body of a REST snapshot; only futures have `times`."""
    return {"lastUpdateId": update_id} | (times or {}) | {"bids": bids, "asks": asks}


def _best(bid: TextLevel, ask: TextLevel) -> dict[str, str]:
    return {"b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}


# Spot


def spot_quote(symbol: str, update_id: int, bid: TextLevel, ask: TextLevel) -> dict[str, Any]:
    """Return a `bookTicker` event."""
    return {"u": update_id, "s": symbol} | _best(bid, ask)


def spot_depth(symbol: str, first: int, last: int, bids: TextLevels, asks: TextLevels, now: int) -> dict[str, Any]:
    """Return a `depthUpdate` event of the updates `first` to `last`; amount 0 deletes a level."""
    return {"e": "depthUpdate", "E": now, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}


def spot_trade(symbol: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    """Return a `trade` event; `side` is that of the taker."""
    return {"e": "trade"} | _spot_trade(symbol, {"t": trade_id}, price, amount, side, now)


def spot_aggregated_trade(symbol: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    """Return an `aggTrade` event that aggregates one trade."""
    ids = {"a": trade_id, "f": trade_id, "l": trade_id}
    return {"e": "aggTrade"} | _spot_trade(symbol, ids, price, amount, side, now)


def _spot_trade(symbol: str, ids: dict[str, int], price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    return {"E": now, "s": symbol} | ids | {"p": price, "q": amount, "T": now, "m": side == "sell", "M": True}


def spot_row(listing: Listing) -> dict[str, Any]:
    """Return a symbol of spot's exchangeInfo."""
    return {
        "symbol": listing.exchange_symbol,
        "status": "TRADING",
        "baseAsset": listing.underlying,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": _filters(listing),
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


# USD-M futures


def usdm_quote(symbol: str, update_id: int, bid: TextLevel, ask: TextLevel, now: int) -> dict[str, Any]:
    """Return a `bookTicker` event."""
    head = {"e": "bookTicker", "u": update_id, "E": now, "T": now, "s": symbol, "ps": symbol}
    return head | _best(bid, ask) | {"st": 1}


def usdm_depth(
    symbol: str, first: int, last: int, previous: int, bids: TextLevels, asks: TextLevels, now: int
) -> dict[str, Any]:
    """Return a `depthUpdate` event; `previous` is the last id of the event before."""
    head = {"e": "depthUpdate", "E": now, "T": now, "s": symbol, "ps": symbol}
    return head | {"U": first, "u": last, "pu": previous, "b": bids, "a": asks, "st": 1}


def usdm_trade(symbol: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    """Return a `trade` event; `side` is that of the taker."""
    head = {"e": "trade", "E": now, "T": now, "s": symbol, "t": trade_id, "p": price, "q": amount}
    return head | {"X": "MARKET", "m": side == "sell"}


def usdm_aggregated_trade(symbol: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    """Return an `aggTrade` event that aggregates one trade."""
    head = {"e": "aggTrade", "E": now, "s": symbol, "a": trade_id, "p": price, "q": amount, "nq": amount}
    return head | {"f": trade_id, "l": trade_id, "T": now, "m": side == "sell", "st": 1}


def usdm_mark_price(symbol: str, funding: Funding, now: int) -> dict[str, Any]:
    """Return a `markPriceUpdate` event; contracts with a delivery have an empty rate and 0 as the next payment."""
    index, mark, rate = f"{funding.index:.8f}", f"{funding.mark:.8f}", funding.rate
    prices = {"p": mark, "ap": mark, "i": index, "P": index}
    due = {"r": "", "T": 0} if rate is None else {"r": f"{rate:.8f}", "T": next_funding_at(now)}
    return {"e": "markPriceUpdate", "E": now, "s": symbol} | prices | due | {"st": 1}


def usdm_row(listing: Listing) -> dict[str, Any]:
    """Return a symbol of USD-M's exchangeInfo."""
    state = {"status": "TRADING"}
    return _contract_row(listing, listing.exchange_symbol, state, listing.quote)


# COIN-M futures: the events of USD-M, of other contracts


def coin_margined(listing: Listing, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of USD-M as COIN-M sends it, where `ps` is the pair and `st` is 2."""
    return event | {name: value for name, value in {"ps": _pair(listing), "st": 2}.items() if name in event}


def coinm_row(listing: Listing) -> dict[str, Any]:
    """Return a symbol of COIN-M's exchangeInfo."""
    state = {"contractStatus": "TRADING", "contractSize": int(listing.contract)}
    row = _contract_row(listing, _pair(listing), state, listing.underlying)
    return row | {"pricePrecision": listing.price_decimals, "quantityPrecision": 0}


def _pair(listing: Listing) -> str:
    return listing.underlying + listing.quote


def _contract_row(listing: Listing, pair: str, state: dict[str, Any], margin_asset: str) -> dict[str, Any]:
    expiry = parse_symbol(listing.symbol).expiry
    return {
        "symbol": listing.exchange_symbol,
        "pair": pair,
        "contractType": "CURRENT_QUARTER" if expiry else "PERPETUAL",
        "deliveryDate": _delivery(expiry) if expiry else 4133404800000,
        "onboardDate": 1569398400000,
        **state,
        "baseAsset": listing.underlying,
        "quoteAsset": listing.quote,
        "marginAsset": margin_asset,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "filters": _filters(listing),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _delivery(expiry: str) -> int:
    """Return the time of delivery, 08:00 UTC of the day `YYMMDD`, in ms."""
    return int(datetime.strptime(f"{expiry} 08 +0000", "%y%m%d %H %z").timestamp()) * 1000


def _filters(listing: Listing) -> list[dict[str, str]]:
    tick, lot = listing.price_text(1), listing.amount_text(1)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": listing.price_text(10**8), "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": listing.amount_text(10**8), "stepSize": lot},
    ]
