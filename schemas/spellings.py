"""Recognise symbols in other spellings, such as the exchanges' own, to suggest the canonical one."""

import re

from schemas.errors import SymbolError
from schemas.exchanges.pairs import QUOTES, split_pair
from schemas.suggestions import nearest
from schemas.symbols import Symbol

_PERPETUAL = ("PERP", "SWAP", "PERPETUAL")


def respelt(text: str) -> str:
    """Return the canonical symbol for `btcusdt`, `BTC/USDT`, `BTC-USDT-SWAP` or `BTC/USDT:USDT`; empty if not clear."""
    name, _, settled_in = text.upper().partition(":")
    first, *more = re.split(r"[-_/ ]", name)
    tail = more[-1] if more and nearest(more[-1], _PERPETUAL) else ""
    pair = "".join((first, *(more[:-1] if tail else more)))
    try:
        base, quote = split_pair(pair, QUOTES["binance"])
    except SymbolError:
        return ""
    return str(Symbol(base, quote, "perp" if tail or settled_in else "spot"))
