"""Each feed's own names of instruments: `BTC-USDT-PERP` is `BTCUSDT`, `BTC-USDT-SWAP`, `BTC-USDT`.

See docs/protocols/README.md §8.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from schemas.errors import SymbolError
from schemas.pairs import QUOTES, split_pair
from schemas.symbols import Symbol, parse_symbol

_BINANCE_EXPIRY = re.compile(r"[0-9]{6}")


def to_exchange(feed: str, symbol: str) -> str:
    """The feed's own name of a canonical symbol, as REST and payloads spell it: `BTC-USDT` → `BTCUSDT`."""
    return _mapping(feed)[0](parse_symbol(symbol))


def from_exchange(feed: str, name: str) -> str:
    """The canonical symbol of a feed's own name: `BTC-USDT-SWAP` → `BTC-USDT-PERP`.

    `SymbolError` where it has none, or where the symbol that it looks like belongs to another name.
    """
    to_name, to_symbol = _mapping(feed)
    symbol = to_symbol(name)
    parse_symbol(str(symbol))
    if to_name(symbol).upper() != name.upper():
        raise SymbolError(f"{name!r:.80} looks like {symbol}, which is another instrument of {feed}")
    return str(symbol)


def _binance_spot_name(symbol: Symbol) -> str:
    if symbol.kind != "spot":
        raise SymbolError(f"binance-spot has no {symbol.kind} instruments: {symbol}")
    return symbol.base + symbol.quote


def _binance_spot_symbol(name: str) -> Symbol:
    return Symbol(*split_pair(name.upper(), QUOTES["binance"]))


def _binance_usdm_name(symbol: Symbol) -> str:
    if symbol.kind not in ("perp", "future"):
        raise SymbolError(f"binance-usdm has no {symbol.kind} instruments: {symbol}")
    dated = f"_{symbol.expiry}" if symbol.expiry else ""
    return f"{symbol.base}{symbol.quote}{dated}"


def _binance_usdm_symbol(name: str) -> Symbol:
    pair, _, expiry = name.upper().partition("_")
    # `BTCUSD_PERP` is the coin-margined one, of another market.
    if expiry and not _BINANCE_EXPIRY.fullmatch(expiry):
        raise SymbolError(f"{name!r:.80} is no contract of binance-usdm")
    base, quote = split_pair(pair, QUOTES["binance"])
    return Symbol(base, quote, "future", expiry) if expiry else Symbol(base, quote, "perp")


def _okx_name(symbol: Symbol) -> str:
    named = replace(symbol, quote=symbol.quote.replace(".", "_"))
    return f"{named.base}-{named.quote}-SWAP" if symbol.kind == "perp" else str(named)


def _okx_symbol(name: str) -> Symbol:
    # What follows an underscore marks a family of contracts: `BTC-USD_UM-SWAP` is a USD-quoted linear swap
    # (docs/protocols/okx.md §3.8), `BTC-USD_UM_XPERP-310404` a dated one that pays funding. They are other
    # instruments than the inverse `BTC-USD-SWAP` and `BTC-USD-310404`, so the quote keeps the marker, with a point for
    # the underscore, which no canonical symbol has.
    base, *rest = name.split("-")
    if not rest or not _OKX_QUOTE.fullmatch(rest[0]) or (len(rest) == 1 and "_" in rest[0]):
        raise SymbolError(f"{name!r:.80} is no instrument of okx")
    rest[0] = rest[0].replace("_", ".")
    if rest[1:] == ["SWAP"]:
        rest[1] = "PERP"
    return parse_symbol("-".join([base, *rest]))


_OKX_QUOTE = re.compile(r"[^._]+(_[A-Z0-9]+)*")

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DERIBIT_DATE = re.compile(rf"([1-9][0-9]?)({'|'.join(_MONTHS)})([0-9][0-9])")


def _deribit_name(symbol: Symbol) -> str:
    # USD goes without saying, but for spot: there pairs are always named in full.
    short = symbol.quote == "USD" and symbol.kind != "spot"
    pair = symbol.base if short else f"{symbol.base}_{symbol.quote}"
    if symbol.kind == "spot":
        return pair
    if symbol.kind == "perp":
        return f"{pair}-PERPETUAL"
    dated = f"{pair}-{_deribit_date(symbol.expiry)}"
    return f"{dated}-{symbol.strike.replace('.', 'd')}-{symbol.option}" if symbol.kind == "option" else dated


def _deribit_symbol(name: str) -> Symbol:
    pair, *tail = name.split("-")
    base, _, quote = pair.partition("_")
    if tail == ["PERPETUAL"]:
        tail = ["PERP"]
    elif tail:
        tail[0] = _deribit_expiry(tail[0])
        tail[1:2] = [strike.replace("d", ".") for strike in tail[1:2]]
    return parse_symbol("-".join([base, quote or ("USD" if tail else ""), *tail]))


def _deribit_date(expiry: str) -> str:
    """`260905` → `5SEP26`."""
    month, day = int(expiry[2:4]), int(expiry[4:])
    if not 1 <= month <= 12 or not day:
        raise SymbolError(f"{expiry!r} is no date: write YYMMDD")
    return f"{day}{_MONTHS[month - 1]}{expiry[:2]}"


def _deribit_expiry(date: str) -> str:
    """`5SEP26` → `260905`; a combination of instruments has something else in its place."""
    found = _DERIBIT_DATE.fullmatch(date)
    if found is None:
        raise SymbolError(f"{date!r:.80} is no expiry of deribit")
    day, month, year = found.groups()
    return f"{year}{_MONTHS.index(month) + 1:02}{int(day):02}"


def _htx_spot_name(symbol: Symbol) -> str:
    if symbol.kind != "spot":
        raise SymbolError(f"htx-spot has no {symbol.kind} instruments: {symbol}")
    return (symbol.base + symbol.quote).lower()


def _htx_spot_symbol(name: str) -> Symbol:
    return Symbol(*split_pair(name.upper(), QUOTES["htx"]))


def _htx_linear_name(symbol: Symbol) -> str:
    if symbol.kind not in ("perp", "future"):
        raise SymbolError(f"htx-linear has no {symbol.kind} instruments: {symbol}")
    return "-".join(part for part in (symbol.base, symbol.quote, symbol.expiry) if part)


def _htx_linear_symbol(name: str) -> Symbol:
    # `BTC-USDT` is the perpetual here. Quoted in USD it is the coin-margined one of another market, inverse.
    parts = name.upper().split("-")
    if len(parts) == 2:
        parts.append("PERP")
    symbol = parse_symbol("-".join(parts))  # refuses the rolling aliases: BTC-USDT-CQ
    if symbol.kind not in ("perp", "future"):
        raise SymbolError(f"{name!r:.80} is no contract of htx-linear")
    return symbol


_MAPPINGS: dict[str, tuple[Callable[[Symbol], str], Callable[[str], Symbol]]] = {
    "binance-spot": (_binance_spot_name, _binance_spot_symbol),
    "binance-usdm": (_binance_usdm_name, _binance_usdm_symbol),
    "okx": (_okx_name, _okx_symbol),
    "htx-spot": (_htx_spot_name, _htx_spot_symbol),
    "htx-linear": (_htx_linear_name, _htx_linear_symbol),
    "deribit": (_deribit_name, _deribit_symbol),
}


def _mapping(feed: str) -> tuple[Callable[[Symbol], str], Callable[[str], Symbol]]:
    try:
        return _MAPPINGS[feed]
    except KeyError:
        raise SymbolError(f"no symbol mapping for feed {feed!r}: known are {', '.join(_MAPPINGS)}") from None
