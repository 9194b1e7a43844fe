"""HTX's feeds, and how they name instruments (docs/protocols/README.md §8) and the periods of candles."""

from schemas.errors import SymbolError
from schemas.exchanges.base import Feed
from schemas.exchanges.pairs import QUOTES, split_pair
from schemas.symbols import Symbol, parse_symbol


def _spot_name(symbol: Symbol) -> str:
    if symbol.kind != "spot":
        raise SymbolError(f"htx-spot has no {symbol.kind} instruments: {symbol}")
    return (symbol.base + symbol.quote).lower()


def _spot_symbol(name: str) -> Symbol:
    return Symbol(*split_pair(name.upper(), QUOTES["htx"]))


def _linear_name(symbol: Symbol) -> str:
    if symbol.kind not in ("perp", "future"):
        raise SymbolError(f"htx-linear has no {symbol.kind} instruments: {symbol}")
    return "-".join(part for part in (symbol.base, symbol.quote, symbol.expiry) if part)


def _linear_symbol(name: str) -> Symbol:
    # `BTC-USDT` is the perpetual here. Names quoted in USD are coin-margined, which is another market.
    parts = name.upper().split("-")
    if len(parts) == 2:
        parts.append("PERP")
    symbol = parse_symbol("-".join(parts))  # rejects the rolling aliases: BTC-USDT-CQ
    if symbol.kind not in ("perp", "future"):
        raise SymbolError(f"{name!r:.80} is not a contract of htx-linear")
    return symbol


PERIODS = {
    "1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "60min", "4h": "4hour", "1d": "1day",
    "1w": "1week", "1M": "1mon",
}  # fmt: skip
"""HTX's names of the intervals of which both markets have candles, by ours."""
SPOT_PERIODS = PERIODS | {"1y": "1year"}


def index_of(name: str) -> str:
    """Return the name of a contract's index, which is that of its pair's swap: `BTC-USDT-261225` → `BTC-USDT`."""
    return "-".join(name.split("-")[:2])


FEEDS = (
    Feed("htx-spot", "htx", {"spot": 20.0}, _spot_name, _spot_symbol),
    Feed("htx-linear", "htx", {"perp": 6.0, "future": 6.0}, _linear_name, _linear_symbol, inverse=False),
)
