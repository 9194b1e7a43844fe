"""Parse canonical symbols, and select among them.

The canonical form is close to what users of Tardis and CCXT know: `BTC-USDT` spot, `BTC-USDT-PERP` linear perpetual,
`BTC-USD-PERP` inverse perpetual, `BTC-USDT-261225` dated future, `BTC-USD-261225-76000-C` option. The quote is the
currency of the price, not of settlement. The base keeps the multiplier that an exchange's ticker has
(`1000SHIB-USDT-PERP`).
"""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from schemas.errors import SymbolError

# `currency`: no symbol has this kind. Some figures are about all instruments of one currency, and have it as their key.
Kind = Literal["spot", "perp", "future", "option", "currency"]

_ASSET = re.compile(r"[^\s\-:_/\t]+")
_CURRENCY = re.compile(r"[A-Z0-9]{1,20}")
_DATE = re.compile(r"[0-9]{6}")
_LONGEST = 64  # characters


@dataclass(frozen=True, slots=True)
class Symbol:
    """Parsed canonical symbol. `expiry` is `YYMMDD`, `strike` a plain decimal string."""

    base: str
    quote: str
    kind: Kind = "spot"
    expiry: str = ""
    strike: str = ""
    option: Literal["", "C", "P"] = ""

    @property
    def is_inverse(self) -> bool:
        """Whether this is a contract quoted in USD and settled in its base currency."""
        return self.kind in ("perp", "future") and self.quote == "USD"

    def __str__(self) -> str:
        pair = f"{self.base}-{self.quote}"
        if self.kind == "perp":
            return f"{pair}-PERP"
        tail = [part for part in (self.expiry, self.strike, self.option) if part]
        return "-".join([pair, *tail])


def is_currency(text: str) -> bool:
    """Return whether a key's symbol is a currency, as of figures about all its instruments."""
    return _CURRENCY.fullmatch(text) is not None


@lru_cache(maxsize=65536)
def parse_symbol(text: str) -> Symbol:
    """Parse a symbol such as `BTC-USDT-PERP`. Raise `SymbolError`, which lists the possible forms."""
    if len(text) > _LONGEST:
        raise _unknown(text)
    parts = text.split("-")
    if len(parts) < 2 or not all(_ASSET.fullmatch(part) for part in parts) or not text.isprintable():
        raise _unknown(text)
    base, quote, *rest = parts
    if not rest:
        return Symbol(base, quote)
    if rest == ["PERP"]:
        return Symbol(base, quote, "perp")
    if not _DATE.fullmatch(rest[0]):
        raise _unknown(text)
    if len(rest) == 1:
        return Symbol(base, quote, "future", rest[0])
    if len(rest) == 3 and rest[2] in ("C", "P"):
        return Symbol(base, quote, "option", rest[0], rest[1], "C" if rest[2] == "C" else "P")
    raise _unknown(text)


def _unknown(text: str) -> SymbolError:
    return SymbolError(
        f"{text!r:.80} is not a symbol: write BTC-USDT (spot), BTC-USDT-PERP, BTC-USDT-261225 (dated) "
        "or BTC-USD-261225-76000-C (option)"
    )


class Selection:
    """Set of canonical symbols, given as symbols and patterns (`*-USDT`, `BTC-*-PERP`) in upper case."""

    def __init__(self, patterns: Iterable[str]) -> None:
        named = tuple(patterns)
        self.exact = tuple(each for each in named if not is_pattern(each))
        self.patterns = tuple(each for each in named if is_pattern(each))
        self._matching = re.compile("|".join(map(fnmatch.translate, self.patterns)) or r"(?!)")
        self._named = frozenset(self.exact)

    def __bool__(self) -> bool:
        return bool(self.exact or self.patterns)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._named or self._matching.match(symbol) is not None


def is_pattern(text: str) -> bool:
    """Return whether a symbol of the settings is a pattern for several."""
    return any(sign in text for sign in "*?[")
