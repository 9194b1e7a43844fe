"""OKX's feed, and how it names instruments (docs/protocols/README.md §8)."""

import re
from dataclasses import replace

from schemas.errors import SymbolError
from schemas.exchanges.base import Feed
from schemas.symbols import Symbol, parse_symbol

_QUOTE = re.compile(r"[^._]+(_[A-Z0-9]+)*")
_TYPES = {2: "SPOT", 3: "FUTURES"}  # by the number of a name's parts

BARS: dict[str, str] = {
    "1s": "1s", "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1H", "2h": "2H", "4h": "4H",
    "6h": "6Hutc", "12h": "12Hutc", "1d": "1Dutc", "2d": "2Dutc", "3d": "3Dutc", "5d": "5Dutc", "1w": "1Wutc",
    "1M": "1Mutc", "3M": "3Mutc",
}  # fmt: skip
"""OKX's names of intervals, by ours. Without `utc`, those from 6 hours up begin at midnight of UTC+8."""


def _name(symbol: Symbol) -> str:
    named = replace(symbol, quote=symbol.quote.replace(".", "_"))
    return f"{named.base}-{named.quote}-SWAP" if symbol.kind == "perp" else str(named)


def _symbol(name: str) -> Symbol:
    # What follows an underscore marks a family of contracts: `BTC-USD_UM-SWAP` is a USD-quoted linear swap
    # (docs/protocols/okx.md §3.8), `BTC-USD_UM_XPERP-310404` a dated one that pays funding. They are other
    # instruments than the inverse `BTC-USD-SWAP` and `BTC-USD-310404`, so the quote keeps the marker, with a point for
    # the underscore, which no canonical symbol has.
    base, *rest = name.split("-")
    if not rest or not _QUOTE.fullmatch(rest[0]) or (len(rest) == 1 and "_" in rest[0]):
        raise SymbolError(f"{name!r:.80} is not an instrument of okx")
    rest[0] = rest[0].replace("_", ".")
    if rest[1:] == ["SWAP"]:
        rest[1] = "PERP"
    return parse_symbol("-".join([base, *rest]))


def index_of(name: str) -> str:
    """Return the index of a contract, as OKX calls it: `BTC-USD_UM-SWAP` → `BTC-USD`."""
    base, _, rest = name.partition("-")
    return f"{base}-{rest.partition('-')[0].partition('_')[0]}"


def type_of(name: str) -> str:
    """Return the `instType` of an instrument: `BTC-USDT-SWAP` → `SWAP`."""
    parts = name.split("-")
    return "SWAP" if parts[-1] == "SWAP" else _TYPES.get(len(parts), "OPTION")


def family_of(name: str) -> str:
    """Return the `instFamily` of a contract: `BTC-USD-261225-76000-C` → `BTC-USD`."""
    return "-".join(name.split("-")[:2])


FEEDS = (Feed("okx", "okx", {"spot": 10.0, "perp": 5.0, "future": 5.0, "option": 3.0}, _name, _symbol),)
