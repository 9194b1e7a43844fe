"""Deribit's payloads: notifications, books and instrument definitions (docs/protocols/deribit.md §6).

Prices and amounts are JSON numbers. Times are ms; `changed_at` is that of the book's last change.
"""

from typing import Any

from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.market.options import expiry_ms
from marketprism.simulator.market.tape import TapeTrade
from schemas.symbols import Symbol, parse_symbol

_NEVER = 32_503_708_800_000  # the expiry of instruments that do not expire


def notification(channel: str, data: Any) -> dict[str, Any]:
    """Return the notification of a channel's data."""
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}


def heartbeat(kind: str) -> dict[str, Any]:
    """Return a `heartbeat` or a `test_request`, which the client must answer."""
    return {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}}


def _price(listing: Listing, ticks: int) -> float:
    return float(listing.price_text(ticks))


def _amount(listing: Listing, lots: int) -> float:
    return float(listing.amount_text(lots))


def plain_levels(listing: Listing, levels: Levels) -> list[list[float]]:
    """Return levels as `[price, amount]`."""
    return [[_price(listing, price), _amount(listing, amount)] for price, amount in levels]


def entries(listing: Listing, changes: Levels, sent_prices: set[int]) -> list[list[Any]]:
    """Return changed levels as `[action, price, amount]` and update `sent_prices`, the prices the client holds.

    Levels that the client does not hold and that no longer exist are left out.
    """
    rows: list[list[Any]] = []
    for price, amount in changes:
        if amount:
            action = "change" if price in sent_prices else "new"
            rows.append([action, _price(listing, price), _amount(listing, amount)])
            sent_prices.add(price)
        elif price in sent_prices:
            rows.append(["delete", _price(listing, price), 0.0])
            sent_prices.remove(price)
    return rows


def snapshot(instrument: SimulatedInstrument, changed_at: int) -> dict[str, Any]:
    """Return the whole book as the first notification of a subscription."""
    listing, book = instrument.listing, instrument.book
    sides = {
        "bids": entries(listing, book.bids.top(len(book.bids)), set()),
        "asks": entries(listing, book.asks.top(len(book.asks)), set()),
    }
    return _head(listing, "snapshot", changed_at) | {"change_id": book.sequence} | sides


def change(
    listing: Listing, bids: list[list[Any]], asks: list[list[Any]], previous: int, last: int, changed_at: int
) -> dict[str, Any]:
    """Return a book update from the id `previous` to `last`."""
    ids = {"prev_change_id": previous, "change_id": last}
    return _head(listing, "change", changed_at) | ids | {"bids": bids, "asks": asks}


def _head(listing: Listing, kind: str, changed_at: int) -> dict[str, Any]:
    return {"type": kind, "timestamp": changed_at, "instrument_name": listing.exchange_symbol}


def quote(instrument: SimulatedInstrument, changed_at: int) -> dict[str, Any]:
    """Return the BBO."""
    return {"timestamp": changed_at, "instrument_name": instrument.listing.exchange_symbol} | best_levels(instrument)


def best_levels(instrument: SimulatedInstrument) -> dict[str, float]:
    """Return price and amount of both best levels."""
    listing = instrument.listing
    best: dict[str, float] = {}
    for name, side in (("bid", instrument.book.bids), ("ask", instrument.book.asks)):
        [(price, amount)] = side.top(1)
        best |= {f"best_{name}_price": _price(listing, price), f"best_{name}_amount": _amount(listing, amount)}
    return best


def reference_prices(instrument: SimulatedInstrument) -> dict[str, float]:
    """Return mark price and index price."""
    return {"mark_price": float(instrument.mark), "index_price": float(instrument.funding.index)}


def trade_row(instrument: SimulatedInstrument, trade: Trade, tick_direction: int, now: int) -> dict[str, Any]:
    """Return one trade; a notification has a list of them."""
    listing, option = instrument.listing, instrument.option
    liquidation = {"liquidation": "T"} if instrument.liquidations.is_liquidation(trade.id) else {}
    row = {
        "trade_seq": instrument.tape.number_of(trade.id),
        "trade_id": str(trade.id),
        "timestamp": now,
        "tick_direction": tick_direction,
        "price": _price(listing, trade.price),
        "instrument_name": listing.exchange_symbol,
        "direction": trade.side,
        "amount": _amount(listing, trade.amount),
        "contracts": _amount(listing, trade.amount) / contract_size(listing),
    }
    volatility = {"iv": float(option.mark_iv)} if option else {}
    return row | reference_prices(instrument) | volatility | liquidation


def past_trade_row(instrument: SimulatedInstrument, trade: TapeTrade) -> dict[str, Any]:
    """Return a trade of the past."""
    return trade_row(instrument, Trade(trade.id, trade.price, trade.lots, trade.side, 0), 0, trade.at_ms)


def whole_book(instrument: SimulatedInstrument, depth: int, changed_at: int) -> dict[str, Any]:
    """Return the best levels of a book."""
    listing, book = instrument.listing, instrument.book
    return {
        "timestamp": changed_at,
        "instrument_name": listing.exchange_symbol,
        "change_id": book.sequence,
        "bids": plain_levels(listing, book.bids.top(depth)),
        "asks": plain_levels(listing, book.asks.top(depth)),
    }


def order_book(instrument: SimulatedInstrument, depth: int, changed_at: int) -> dict[str, Any]:
    """Return the result of a REST request for a book."""
    prices = best_levels(instrument) | reference_prices(instrument)
    return whole_book(instrument, depth, changed_at) | prices | {"state": "open"}


def contract_size(listing: Listing) -> float:
    """Return the amount of one contract: that of an option is one coin, of others the minimum amount."""
    return 1.0 if parse_symbol(listing.symbol).kind == "option" else _amount(listing, 1)


def instrument_row(listing: Listing, number: int) -> dict[str, Any]:
    """Return an instrument's definition; `number` is its id."""
    symbol = parse_symbol(listing.symbol)
    settlement = listing.underlying if listing.inverse else listing.quote
    row = {
        "instrument_name": listing.exchange_symbol,
        "instrument_id": number,
        "kind": "spot",
        "instrument_type": "reversed" if listing.inverse else "linear",
        "base_currency": listing.underlying,
        "quote_currency": listing.quote,
        "counter_currency": listing.quote,
        "contract_size": contract_size(listing),
        "tick_size": _price(listing, 1),
        "tick_size_steps": [],
        "min_trade_amount": _amount(listing, 1),
        "expiration_timestamp": _NEVER,
        "creation_timestamp": 1_534_242_287_000,
        "is_active": True,
        "state": "open",
        "price_index": f"{listing.underlying}_{listing.quote}".lower(),
        "maker_commission": 0.0,
        "taker_commission": 0.0,
    }
    if symbol.kind == "perp":
        row |= {"kind": "future", "taker_commission": 0.0005, "max_leverage": 50}
        row |= {"settlement_currency": settlement, "settlement_period": "perpetual"}
    return row | _option_terms(symbol) if symbol.kind == "option" else row


def _option_terms(symbol: Symbol) -> dict[str, Any]:
    """Return what an inverse option's definition has otherwise: it is quoted and settled in its base currency."""
    return {
        "kind": "option",
        "instrument_type": "reversed",
        "quote_currency": symbol.base,
        "settlement_currency": symbol.base,
        "settlement_period": "month",
        "strike": float(symbol.strike),
        "option_type": "call" if symbol.option == "C" else "put",
        "expiration_timestamp": expiry_ms(symbol.expiry),
        "maker_commission": 0.0003,
        "taker_commission": 0.0003,
    }
