"""OKX's payloads: channel pushes and instrument definitions (docs/protocols/okx.md §3)."""

from typing import Any

from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from schemas.symbols import parse_symbol


def _arg(instrument: SimulatedInstrument, channel: str) -> dict[str, str]:
    return {"channel": channel, "instId": instrument.listing.exchange_symbol}


def both_sides(instrument: SimulatedInstrument, bids: Levels, asks: Levels) -> dict[str, list[list[str]]]:
    listing = instrument.listing
    return {"asks": _levels(listing, asks), "bids": _levels(listing, bids)}


def _levels(listing: Listing, levels: Levels) -> list[list[str]]:
    # The fourth field counts the orders at the price: here it follows from the level, so that all channels agree.
    return [
        [listing.price_text(price), listing.amount_text(amount), "0", str(1 + (price ^ amount) % 24 if amount else 0)]
        for price, amount in levels
    ]


def books_push(
    instrument: SimulatedInstrument, action: str, sides: dict[str, Any], previous: int, sequence: int, now: int
) -> dict[str, Any]:
    tail = {"ts": str(now), "checksum": 0, "prevSeqId": previous, "seqId": sequence}
    return {"arg": _arg(instrument, "books"), "action": action, "data": [sides | tail]}


def full_push(instrument: SimulatedInstrument, channel: str, levels: int, now: int) -> dict[str, Any]:
    book = instrument.book
    sides = both_sides(instrument, book.bids.top(levels), book.asks.top(levels))
    sequence = book.top_sequence if levels == 1 else book.sequence
    name = {"instId": instrument.listing.exchange_symbol} if channel == "books5" else {}
    return {"arg": _arg(instrument, channel), "data": [sides | name | {"ts": str(now), "seqId": sequence}]}


def trade_push(instrument: SimulatedInstrument, trade: Trade, now: int, aggregated: bool) -> dict[str, Any]:
    listing = instrument.listing
    row: dict[str, Any] = {
        "instId": listing.exchange_symbol,
        "tradeId": str(trade.id),
        "px": listing.price_text(trade.price),
        "sz": listing.amount_text(trade.amount),
        "side": trade.side,
        "ts": str(now),
    }
    if aggregated:
        row |= {"count": "1", "source": "0", "seqId": trade.sequence}
    else:
        row["source"] = "0"
    return {"arg": _arg(instrument, "trades" if aggregated else "trades-all"), "data": [row]}


def _settlement(listing: Listing) -> str:
    return listing.underlying if listing.inverse else listing.quote


def _contract_currency(listing: Listing) -> str:
    return listing.quote if listing.inverse else listing.underlying


def instrument_row(listing: Listing) -> dict[str, Any]:
    swap = parse_symbol(listing.symbol).kind == "perp"
    pair = f"{listing.underlying}-{listing.quote}"
    lot = listing.amount_text(1)
    return {
        "instType": "SWAP" if swap else "SPOT",
        "instId": listing.exchange_symbol,
        "instFamily": pair if swap else "",
        "uly": pair if swap else "",
        "baseCcy": "" if swap else listing.underlying,
        "quoteCcy": "" if swap else listing.quote,
        "settleCcy": _settlement(listing) if swap else "",
        "ctVal": str(listing.contract) if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": _contract_currency(listing) if swap else "",
        "ctType": ("inverse" if listing.inverse else "linear") if swap else "",
        "tickSz": listing.price_text(1),
        "lotSz": lot,
        "minSz": lot,
        "listTime": "1611907686000",
        "expTime": "",
        "state": "live",
        "ruleType": "normal",
        "instCategory": "1",
        "maxLmtSz": "100000000",
        "maxMktSz": "",
        "optType": "",
        "stk": "",
        "upcChg": [],
    }
