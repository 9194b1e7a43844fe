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


def _coinm_name(symbol: Symbol) -> str:
    if not symbol.is_inverse:
        raise SymbolError(f"binance-coinm has only contracts quoted in USD: {symbol}")
    return f"{symbol.base}{symbol.quote}_{symbol.expiry or 'PERP'}"


def _coinm_symbol(name: str) -> Symbol:
    pair, _, expiry = name.upper().partition("_")
    base = pair.removesuffix("USD")
    if not base or base == pair or not (expiry == "PERP" or _EXPIRY.fullmatch(expiry)):
        raise SymbolError(f"{name!r:.80} is not a contract of binance-coinm")
    return Symbol(base, "USD", "perp") if expiry == "PERP" else Symbol(base, "USD", "future", expiry)


def _coinm_contract_size(symbol: Symbol) -> str:
    return "100" if symbol.base == "BTC" else "10"


FEEDS = (
    Feed("binance-spot", "binance", {"spot": 10.0}, _spot_name, _spot_symbol),
    Feed("binance-usdm", "binance", {"perp": 5.0, "future": 5.0}, _usdm_name, _usdm_symbol, inverse=False),
    Feed(
        "binance-coinm",
        "binance",
        {"perp": 5.0, "future": 5.0},
        _coinm_name,
        _coinm_symbol,
        inverse=True,
        contract_size=_coinm_contract_size,
    ),
)
