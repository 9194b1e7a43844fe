"""Deribit's feed, and how it names instruments (docs/protocols/README.md §8) and the intervals of candles."""

import re

from schemas.errors import SymbolError
from schemas.exchanges.base import Feed
from schemas.symbols import Symbol, parse_symbol

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATE = re.compile(rf"([1-9][0-9]?)({'|'.join(_MONTHS)})([0-9][0-9])")

RESOLUTIONS = {
    "1m": "1", "3m": "3", "5m": "5", "10m": "10", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "3h": "180",
    "6h": "360", "12h": "720", "1d": "1D",
}  # fmt: skip
"""The exchange's names of the intervals of candles, by ours."""


def _name(symbol: Symbol) -> str:
    # USD is left out, except in spot pairs, which are always named in full.
    short = symbol.quote == "USD" and symbol.kind != "spot"
    pair = symbol.base if short else f"{symbol.base}_{symbol.quote}"
    if symbol.kind == "spot":
        return pair
    if symbol.kind == "perp":
        return f"{pair}-PERPETUAL"
    dated = f"{pair}-{_date(symbol.expiry)}"
    return f"{dated}-{symbol.strike.replace('.', 'd')}-{symbol.option}" if symbol.kind == "option" else dated


def _symbol(name: str) -> Symbol:
    pair, *tail = name.split("-")
    base, _, quote = pair.partition("_")
    if tail == ["PERPETUAL"]:
        tail = ["PERP"]
    elif tail:
        tail[0] = _expiry(tail[0])
        tail[1:2] = [strike.replace("d", ".") for strike in tail[1:2]]
    return parse_symbol("-".join([base, quote or ("USD" if tail else ""), *tail]))


def _date(expiry: str) -> str:
    """Convert `260905` to `5SEP26`."""
    month, day = int(expiry[2:4]), int(expiry[4:])
    if not 1 <= month <= 12 or not day:
        raise SymbolError(f"{expiry!r} is not a date: write YYMMDD")
    return f"{day}{_MONTHS[month - 1]}{expiry[:2]}"


def _expiry(date: str) -> str:
    """Convert `5SEP26` to `260905`. Combinations of instruments have something else in this place."""
    found = _DATE.fullmatch(date)
    if found is None:
        raise SymbolError(f"{date!r:.80} is not an expiry of deribit")
    day, month, year = found.groups()
    return f"{year}{_MONTHS.index(month) + 1:02}{int(day):02}"


FEEDS = (
    # Deribit publishes no machine-readable spot fee; 10 bps, the usual rate, is conservative.
    Feed("deribit", "deribit", {"spot": 10.0, "perp": 3.5, "future": 3.5, "option": 3.0}, _name, _symbol),
)
