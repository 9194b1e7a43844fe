"""Binance's feeds, and how they name instruments (docs/protocols/README.md §8)."""

import re

from schemas.errors import SymbolError
from schemas.exchanges.base import Feed
from schemas.exchanges.pairs import QUOTES, split_pair
from schemas.symbols import Symbol

_EXPIRY = re.compile(r"[0-9]{6}")


def _spot_name(symbol: Symbol) -> str:
    if symbol.kind != "spot":
        raise SymbolError(f"binance-spot has no {symbol.kind} instruments: {symbol}")
    return symbol.base + symbol.quote


def _spot_symbol(name: str) -> Symbol:
    return Symbol(*split_pair(name.upper(), QUOTES["binance"]))


def _usdm_name(symbol: Symbol) -> str:
    if symbol.kind not in ("perp", "future"):
        raise SymbolError(f"binance-usdm has no {symbol.kind} instruments: {symbol}")
    dated = f"_{symbol.expiry}" if symbol.expiry else ""
    return f"{symbol.base}{symbol.quote}{dated}"


def _usdm_symbol(name: str) -> Symbol:
    pair, _, expiry = name.upper().partition("_")
    # `BTCUSD_PERP` is coin-margined, which is another market.
    if expiry and not _EXPIRY.fullmatch(expiry):
        raise SymbolError(f"{name!r:.80} is not a contract of binance-usdm")
    base, quote = split_pair(pair, QUOTES["binance"])
    return Symbol(base, quote, "future", expiry) if expiry else Symbol(base, quote, "perp")


FEEDS = (
    Feed("binance-spot", "binance", {"spot": 10.0}, _spot_name, _spot_symbol),
    Feed("binance-usdm", "binance", {"perp": 5.0, "future": 5.0}, _usdm_name, _usdm_symbol, inverse=False),
)
