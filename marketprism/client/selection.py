"""Select instruments by exchange and symbol, and suggest what may have been meant by an unknown name."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from difflib import get_close_matches
from itertools import product

from schemas.errors import SymbolError
from schemas.exchanges.pairs import QUOTES, split_pair
from schemas.feeds import EXCHANGES, FEEDS
from schemas.keys import key_of, partition_of, split_key
from schemas.symbols import Selection, is_currency, is_pattern, parse_symbol


class Instruments:
    """Set of instruments: those of the exchanges whose symbol is named or matches a pattern; none named means all.

    `topic_key`: how the topic's records are keyed, as the event model says.
    """

    def __init__(self, topic_key: str, symbols: Iterable[str], exchanges: Iterable[str]) -> None:
        self._named_exchanges = tuple(map(_exchange, exchanges))
        self._keyed_by_symbol = topic_key == "symbol"
        if self._keyed_by_symbol and self._named_exchanges:
            raise SymbolError("these events are about two exchanges: select them by symbol alone")
        self.exchanges = ("",) if self._keyed_by_symbol else self._named_exchanges or EXCHANGES
        may_be_currency = "currency" in topic_key
        self._symbols = Selection([_symbol(text, may_be_currency) for text in symbols] or ["*"])

    def __contains__(self, key: bytes) -> bool:
        exchange, symbol = ("", key.decode()) if self._keyed_by_symbol else split_key(key.decode())
        return exchange in self.exchanges and symbol in self._symbols

    @property
    def named(self) -> list[str]:
        """The symbols of instruments that are named, without patterns and currencies."""
        return [symbol for symbol in self._symbols.exact if not is_currency(symbol)]

    def partitions(self, count: int) -> Collection[int]:
        """Return the partitions that can hold these instruments, of a topic with `count` of them."""
        if self._symbols.patterns:
            return range(count)
        names = product(self.exchanges, self._symbols.exact)
        keys = (key_of(exchange, symbol) if exchange else symbol for exchange, symbol in names)
        return {partition_of(key.encode(), count) for key in keys}

    def check_known(self, keys: Iterable[str]) -> None:
        """Raise `SymbolError` for a named symbol that is not among the instruments of these keys.

        Nothing is checked while no instrument of one of the named exchanges is known.
        """
        symbols: dict[str, set[str]] = {}
        for exchange, symbol in map(split_key, keys):
            symbols.setdefault(exchange, set()).add(symbol)
        chosen = [symbols.get(exchange, set()) for exchange in self._named_exchanges or symbols]
        known = set().union(*chosen)
        unknown = [symbol for symbol in self.named if symbol not in known]
        if unknown and chosen and all(chosen):
            places = " or ".join(self._named_exchanges or sorted(symbols))
            raise SymbolError(f"nobody ingests {unknown[0]} from {places}{_suggestion(unknown[0], known, 'there is')}")


def _exchange(text: str) -> str:
    name = text.lower()
    if name in EXCHANGES:
        return name
    if name in FEEDS:
        raise SymbolError(f"{text!r} is a feed: did you mean the exchange {FEEDS[name].exchange!r}?")
    raise SymbolError(f"unknown exchange {text!r:.80}{_suggestion(name, EXCHANGES, 'known are')}")


def _symbol(text: str, may_be_currency: bool) -> str:
    name = text.upper()
    if is_pattern(name) or (may_be_currency and is_currency(name)):
        return name
    try:
        return str(parse_symbol(name))
    except SymbolError as error:
        meant = _meant(name)
        raise SymbolError(f"{text!r:.80}: did you mean {meant}?") if meant else error from None


def _meant(name: str) -> str:
    """Return the symbol that is written in another way: BTCUSDT, BTC/USDT, BTC-USDT-SWAP. Empty: none."""
    parts = name.replace("/", "-").replace("_", "-").replace(":", "-").replace("-SWAP", "-PERP")
    with suppress(SymbolError):
        return str(parse_symbol(parts))
    return _pair(name)


def _pair(name: str) -> str:
    with suppress(SymbolError):
        return "-".join(split_pair(name, QUOTES["binance"]))
    return ""


def _suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    names = sorted(known)
    if close := get_close_matches(name, names, n=3, cutoff=0.7):
        return f": did you mean {' or '.join(close)}?"
    return f": {otherwise} {', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
