"""OKX's payloads: channel pushes and instrument definitions (docs/protocols/okx.md §3).

Prices and amounts are decimal strings as OKX writes them; a level is `[price, amount, "0", orders]`. Times are ms.
"""

from decimal import Decimal
from typing import Any

from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.funding import Funding, next_funding_at
from marketprism.simulator.market.listings import Listing
from schemas.symbols import parse_symbol

TextLevels = list[list[str]]


def level(price: str, amount: str, orders: int = 1) -> list[str]:
    """Return a level; the third field is deprecated and always "0"."""
    return [price, amount, "0", str(orders)]


def text_levels(listing: Listing, levels: Levels) -> TextLevels:
    """Return levels in ticks and lots as OKX encodes them."""
    # The number of orders is derived from the level, so that it is the same in all channels.
    return [
        level(listing.price_text(price), listing.amount_text(amount), 1 + (price ^ amount) % 24 if amount else 0)
        for price, amount in levels
    ]


def book(
    name: str, action: str, bids: TextLevels, asks: TextLevels, previous: int, sequence: int, now: int
) -> dict[str, Any]:
    """Return a push of `books`; `action` is `snapshot` (with `previous` -1) or `update`."""
    ids = {"checksum": 0, "prevSeqId": previous, "seqId": sequence}
    return {"arg": _arg("books", name), "action": action, "data": [_sides(bids, asks) | {"ts": str(now)} | ids]}


def best_levels(channel: str, name: str, bids: TextLevels, asks: TextLevels, sequence: int, now: int) -> dict[str, Any]:
    """Return a push of `bbo-tbt` or `books5`, which has all levels of the channel."""
    named = {"instId": name} if channel == "books5" else {}
    row = _sides(bids, asks) | named | {"ts": str(now), "seqId": sequence}
    return {"arg": _arg(channel, name), "data": [row]}


def rest_book(bids: TextLevels, asks: TextLevels, sequence: int, now: int) -> dict[str, Any]:
    """Return the row of a REST response with a book."""
    return _sides(bids, asks) | {"ts": str(now), "seqId": sequence}


def aggregated_trade(
    name: str, trade_id: int, price: str, amount: str, side: str, sequence: int, now: int
) -> dict[str, Any]:
    """Return a push of `trades` that aggregates one trade; `side` is that of the taker."""
    row = _trade(name, trade_id, price, amount, side, now) | {"count": "1", "source": "0", "seqId": sequence}
    return {"arg": _arg("trades", name), "data": [row]}


def trade(name: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    """Return a push of `trades-all`."""
    row = _trade(name, trade_id, price, amount, side, now) | {"source": "0"}
    return {"arg": _arg("trades-all", name), "data": [row]}


def _trade(name: str, trade_id: int, price: str, amount: str, side: str, now: int) -> dict[str, Any]:
    return {"instId": name, "tradeId": str(trade_id), "px": price, "sz": amount, "side": side, "ts": str(now)}


def funding_rate(kind: str, name: str, funding: Funding, now: int) -> dict[str, Any]:
    """Return a push of `funding-rate`; `kind` is the instrument's type."""
    due, rate = next_funding_at(now), _decimal(funding.rate)
    row = {
        "instType": kind,
        "instId": name,
        "fundingRate": rate,
        "fundingTime": str(due),
        "nextFundingTime": str(next_funding_at(due)),
        "nextFundingRate": "",
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "settState": "settled",
        "settFundingRate": _decimal(funding.mean_rate),
        "premium": rate,
        "interestRate": "0",
        "impactValue": "20000",
        "method": "current_period",
        "formulaType": "withRate",
        "ts": str(now),
    }
    return {"arg": _arg("funding-rate", name), "data": [row]}


def mark_price(kind: str, name: str, funding: Funding, now: int) -> dict[str, Any]:
    """Return a push of `mark-price`; `kind` is the instrument's type."""
    row = {"instType": kind, "instId": name, "markPx": _decimal(funding.mark), "ts": str(now)}
    return {"arg": _arg("mark-price", name), "data": [row]}


def index_ticker(index: str, funding: Funding, now: int) -> dict[str, Any]:
    """Return a push of `index-tickers` of a named index. Its past prices are invented: they are the current one."""
    price = _decimal(funding.index)
    past = dict.fromkeys(("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), price)
    return {"arg": _arg("index-tickers", index), "data": [{"instId": index, "idxPx": price} | past | {"ts": str(now)}]}


def _decimal(value: Decimal | None) -> str:
    """Return a decimal without trailing zeros and exponent; "" for None."""
    return "" if value is None else f"{value.normalize():f}"


def _arg(channel: str, name: str) -> dict[str, str]:
    return {"channel": channel, "instId": name}


def _sides(bids: TextLevels, asks: TextLevels) -> dict[str, Any]:
    return {"asks": asks, "bids": bids}


def instrument_type(listing: Listing) -> str:
    """Return `SPOT`, `SWAP` or `FUTURES`."""
    return {"spot": "SPOT", "perp": "SWAP"}.get(parse_symbol(listing.symbol).kind, "FUTURES")


def instrument_row(listing: Listing) -> dict[str, Any]:
    """Return an instrument's definition."""
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


def _settlement(listing: Listing) -> str:
    return listing.underlying if listing.inverse else listing.quote


def _contract_currency(listing: Listing) -> str:
    return listing.quote if listing.inverse else listing.underlying
