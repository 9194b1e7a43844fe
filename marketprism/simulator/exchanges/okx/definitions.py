"""OKX's definitions of instruments (docs/protocols/okx.md §3.7)."""

from datetime import datetime
from typing import Any

from marketprism.simulator.market.listings import Listing
from schemas.exchanges.okx import family_of, type_of
from schemas.symbols import parse_symbol


def instrument_type(listing: Listing) -> str:
    """Return `SPOT`, `SWAP`, `FUTURES` or `OPTION`."""
    return type_of(listing.exchange_symbol)


def instrument_row(listing: Listing) -> dict[str, Any]:
    """Return an instrument's definition."""
    lot = listing.amount_text(1)
    return {
        "instType": instrument_type(listing),
        "instId": listing.exchange_symbol,
        **(_pair(listing) if instrument_type(listing) == "SPOT" else _contract(listing)),
        "tickSz": listing.price_text(1),
        "lotSz": lot,
        "minSz": lot,
        "listTime": "1611907686000",
        "expTime": _expiry(listing),
        "state": "live",
        "ruleType": "normal",
        "instCategory": "1",
        "maxLmtSz": "100000000",
        "maxMktSz": "",
        "optType": parse_symbol(listing.symbol).option,
        "stk": parse_symbol(listing.symbol).strike,
        "upcChg": [],
    }


def expiry_ms(listing: Listing) -> int | None:
    """Return when a contract is delivered, at 8:00 UTC, in ms; None if it never is."""
    expiry = parse_symbol(listing.symbol).expiry
    return int(datetime.strptime(f"{expiry} 08 +0000", "%y%m%d %H %z").timestamp()) * 1000 if expiry else None


def _expiry(listing: Listing) -> str:
    at = expiry_ms(listing)
    return "" if at is None else str(at)


def _pair(listing: Listing) -> dict[str, str]:
    empty = dict.fromkeys(("instFamily", "uly", "settleCcy", "ctVal", "ctMult", "ctValCcy", "ctType"), "")
    return {"baseCcy": listing.underlying, "quoteCcy": listing.quote} | empty


def _contract(listing: Listing) -> dict[str, str]:
    is_option = instrument_type(listing) == "OPTION"  # those settle in coins, and are neither linear nor inverse
    family, contract_type = family_of(listing.exchange_symbol), "inverse" if listing.inverse else "linear"
    return {
        "baseCcy": "",
        "quoteCcy": "",
        "instFamily": family,
        "uly": family,
        "settleCcy": listing.underlying if listing.inverse or is_option else listing.quote,
        "ctVal": str(listing.contract),
        "ctMult": "1",
        "ctValCcy": listing.quote if listing.inverse else listing.underlying,
        "ctType": "" if is_option else contract_type,
    }
