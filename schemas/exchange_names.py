"""Each feed's own names of instruments: `BTC-USDT-PERP` is `BTCUSDT`, `BTC-USDT-SWAP`, `BTC-USDT` (PROTOCOLS §8)."""

import re
from collections.abc import Callable

from schemas.errors import SymbolError
from schemas.symbols import Symbol, parse_symbol

# Binance writes no separator. Metadata decides where there is any; this table serves replays, which have none.
# Order matters: the first suffix that fits wins, so longer names that end like shorter ones stand first.
_BINANCE_QUOTES = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD1", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "GBP",
    "AUD", "ZAR", "UAH", "PLN", "RON", "ARS", "MXN", "IDR", "COP", "CZK", "DAI", "XRP", "TRX", "DOGE", "SOL", "USD",
)  # fmt: skip

_BINANCE_EXPIRY = re.compile(r"\d{6}")

# The same for HTX spot.
_HTX_QUOTES = (
    "USDT", "USDC", "USDD", "HUSD", "BTC", "ETH", "TRX", "EUR", "BRL", "GBP", "TRY", "UAH", "RUB", "USD", "HT",
)  # fmt: skip


def to_exchange(feed: str, symbol: str) -> str:
    """The feed's own name of a canonical symbol, as REST and payloads spell it: `BTC-USDT` → `BTCUSDT`."""
    return _mapping(feed)[0](parse_symbol(symbol))


def from_exchange(feed: str, name: str) -> str:
    """The canonical symbol of a feed's own name: `BTC-USDT-SWAP` → `BTC-USDT-PERP`."""
    return str(_mapping(feed)[1](name))


def _split(pair: str, quotes: tuple[str, ...]) -> tuple[str, str]:
    for quote in quotes:
        if pair.endswith(quote) and len(pair) > len(quote):
            return pair[: -len(quote)], quote
    raise SymbolError(f"cannot tell base from quote in {pair!r}: its quote currency is not a known one")


def _binance_spot_name(symbol: Symbol) -> str:
    if symbol.kind != "spot":
        raise SymbolError(f"binance-spot has no {symbol.kind} instruments: {symbol}")
    return symbol.base + symbol.quote


def _binance_spot_symbol(name: str) -> Symbol:
    return Symbol(*_split(name.upper(), _BINANCE_QUOTES))


def _binance_usdm_name(symbol: Symbol) -> str:
    if symbol.kind not in ("perp", "future"):
        raise SymbolError(f"binance-usdm has no {symbol.kind} instruments: {symbol}")
    dated = f"_{symbol.expiry}" if symbol.expiry else ""
    return f"{symbol.base}{symbol.quote}{dated}"


def _binance_usdm_symbol(name: str) -> Symbol:
    pair, _, expiry = name.upper().partition("_")
    # `BTCUSD_PERP` is the coin-margined one, of another market.
    if expiry and not _BINANCE_EXPIRY.fullmatch(expiry):
        raise SymbolError(f"{name!r} is no contract of binance-usdm")
    base, quote = _split(pair, _BINANCE_QUOTES)
    return Symbol(base, quote, "future", expiry) if expiry else Symbol(base, quote, "perp")


def _okx_name(symbol: Symbol) -> str:
    name = f"{symbol.base}-{symbol.quote}-SWAP" if symbol.kind == "perp" else str(symbol)
    return name.replace(".UM", "_UM")


def _okx_symbol(name: str) -> Symbol:
    # `BTC-USD_UM-SWAP` is a USD-quoted linear swap (§3.8): another instrument than the inverse `BTC-USD-SWAP`,
    # so its quote keeps the marker, without the underscore that no canonical symbol has.
    pair = name.replace("_UM", ".UM")
    if pair.endswith("-SWAP"):
        pair = pair.removesuffix("-SWAP") + "-PERP"
    return parse_symbol(pair)


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DERIBIT_DATE = re.compile(rf"([1-9]\d?)({'|'.join(_MONTHS)})(\d\d)")


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
        raise SymbolError(f"{date!r} is no expiry of deribit")
    day, month, year = found.groups()
    return f"{year}{_MONTHS.index(month) + 1:02}{int(day):02}"


def _htx_spot_name(symbol: Symbol) -> str:
    if symbol.kind != "spot":
        raise SymbolError(f"htx-spot has no {symbol.kind} instruments: {symbol}")
    return (symbol.base + symbol.quote).lower()


def _htx_spot_symbol(name: str) -> Symbol:
    return Symbol(*_split(name.upper(), _HTX_QUOTES))


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
        raise SymbolError(f"{name!r} is no contract of htx-linear")
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
