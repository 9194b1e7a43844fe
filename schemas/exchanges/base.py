"""The type of a feed, of which each exchange's module declares its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.symbols import Kind, Symbol


def _one(symbol: Symbol) -> str:
    return "1"


@dataclass(frozen=True, slots=True)
class Feed:
    """One market of an exchange, or several that share its sockets.

    `taker_bps`: the kinds of instruments traded, each with its taker fee (public retail rate, in basis points;
    docs/protocols/README.md §9). `inverse`: whether its contracts are inverse; None: no restriction (both, or spot).
    `to_name` and `to_symbol` convert canonical symbols to the exchange's names and back, and raise `SymbolError`.
    `contract_size`: the size to assume for a symbol until the exchange's definition of the instrument is known.
    """

    name: str
    exchange: str
    taker_bps: Mapping[Kind, float]
    to_name: Callable[[Symbol], str]
    to_symbol: Callable[[str], Symbol]
    inverse: bool | None = None
    contract_size: Callable[[Symbol], str] = _one

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of instruments that it trades."""
        return tuple(self.taker_bps)

    def carries(self, symbol: Symbol) -> bool:
        """Return whether an instrument of this symbol would be traded here."""
        return symbol.kind in self.taker_bps and (self.inverse is None or symbol.is_inverse == self.inverse)
