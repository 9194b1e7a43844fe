"""HTX's payloads: channel pushes and instrument definitions (docs/protocols/htx.md §4, §5).

Numbers are JSON numbers, times ms.
"""

from typing import Any

from marketprism.simulator.market.best_levels import Change
from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.funding import INTERVAL_HOURS, next_funding_at
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing


def number(text: str) -> Any:
    """Return text as a JSON number, or unchanged if it is not a number."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def levels(listing: Listing, side: Levels) -> list[list[Any]]:
    """Return levels in ticks and lots as `[price, amount]`."""
    return [[number(listing.price_text(price)), number(listing.amount_text(amount))] for price, amount in side]


def push(topic: str, tick: dict[str, Any], now: int) -> dict[str, Any]:
    """Return the push of a payload on a topic."""
    return {"ch": topic, "ts": now, "tick": tick}


def spot_trade(listing: Listing, trade: Trade, now: int) -> dict[str, Any]:
    """Return a spot trade."""
    row = {"id": float(trade.id) * 1e17, "ts": now, "tradeId": trade.id} | _price_amount(listing, trade)
    return {"id": trade.sequence, "ts": now, "data": [row]}


def linear_trade(listing: Listing, trade: Trade, now: int) -> dict[str, Any]:
    """Return a swap trade: `amount` in contracts, `quantity` in base units."""
    coins, price = listing.base_amount(trade.amount, trade.price), listing.price(trade.price)
    row = {"id": trade.id, "ts": now, "quantity": float(coins), "trade_turnover": float(coins * price)}
    return {"id": trade.sequence, "ts": now, "data": [row | _price_amount(listing, trade)]}


def _price_amount(listing: Listing, trade: Trade) -> dict[str, Any]:
    [[price, amount]] = levels(listing, [(trade.price, trade.amount)])
    return {"amount": amount, "price": price, "direction": trade.side}


def spot_quote(instrument: SimulatedInstrument, now: int) -> dict[str, Any]:
    """Return the spot BBO."""
    (bid, bid_size), (ask, ask_size) = _best(instrument)
    return {
        "seqId": instrument.book.top_sequence,
        "ask": ask,
        "askSize": ask_size,
        "bid": bid,
        "bidSize": bid_size,
        "quoteTime": now,
        "symbol": instrument.listing.exchange_symbol,
    }


def linear_quote(instrument: SimulatedInstrument, topic: str, now: int) -> dict[str, Any]:
    """Return a swap's BBO."""
    bid, ask = _best(instrument)
    version = instrument.book.top_sequence
    return {"mrid": version, "id": now // 1000, "bid": bid, "ask": ask, "ts": now, "version": version, "ch": topic}


def _best(instrument: SimulatedInstrument) -> tuple[list[Any], list[Any]]:
    book = instrument.book
    [bid], [ask] = levels(instrument.listing, book.bids.top(1)), levels(instrument.listing, book.asks.top(1))
    return bid, ask


def spot_book(listing: Listing, change: Change, both_sides: bool) -> dict[str, Any]:
    """Return a spot book update (`mbp`). `both_sides`: include a side without changes as an empty list."""
    sides = {"bids": levels(listing, change.bids), "asks": levels(listing, change.asks)}
    shown = {name: side for name, side in sides.items() if side or both_sides}
    return {"seqNum": change.last, "prevSeqNum": change.previous} | shown


def linear_book(
    listing: Listing, sides: tuple[Levels, Levels], event: str, version: int, topic: str, now: int
) -> dict[str, Any]:
    """Return a swap's book push (`high_freq`); `event` is `snapshot` or `update`."""
    bids, asks = (levels(listing, side) for side in sides)
    ids = {"mrid": version, "id": version}
    return ids | {"bids": bids, "asks": asks, "ts": now, "version": version, "event": event, "ch": topic}


def funding_rate(instrument: SimulatedInstrument, topic: str, now: int) -> dict[str, Any]:
    """Return the push of a swap's funding rate, whose values are text."""
    listing = instrument.listing
    row = {
        "symbol": listing.underlying,
        "contract_code": listing.exchange_symbol,
        "fee_asset": listing.quote,
        "funding_time": str(now),
        "funding_rate": f"{instrument.funding.rate:.18f}",
        "estimated_rate": None,
        "settlement_time": str(next_funding_at(now)),
        "trade_partition": listing.quote,
    }
    return {"op": "notify", "topic": topic, "ts": now, "data": [row]}


def spot_row(listing: Listing) -> dict[str, Any]:
    """Return a spot instrument's definition."""
    return {
        "symbol": listing.exchange_symbol,
        "bc": listing.underlying.lower(),
        "qc": listing.quote.lower(),
        "state": "online",
        "pp": _decimals(listing.price_text(1)),
        "ap": _decimals(listing.amount_text(1)),
        "vp": 8,
        "sp": "main",
        "minoa": number(listing.amount_text(1)),
        "maxoa": 1000,
        "minov": 5,
    }


def _decimals(unit: str) -> int:
    return len(unit.partition(".")[2])


def contract_row(listing: Listing) -> dict[str, Any]:
    """Return a swap's definition."""
    return {
        "symbol": listing.underlying,
        "contract_code": listing.exchange_symbol,
        "contract_size": float(listing.contract),
        "price_tick": float(listing.tick),
        "settlement_date": "1790006400000",
        "settlement_period": str(INTERVAL_HOURS),
        "delivery_time": "",
        "create_date": "20201021",
        "contract_status": 1,
        "support_margin_mode": "all",
        "contract_type": "swap",
        "pair": f"{listing.underlying}-{listing.quote}",
        "business_type": "swap",
        "delivery_date": "",
        "trade_partition": listing.quote,
    }
