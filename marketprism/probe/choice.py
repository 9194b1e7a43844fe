"""Choose the instruments of a feed that are probed: one of each kind that it has, linear and inverse."""

from collections.abc import Iterable

from schemas.instruments import Instrument
from schemas.symbols import Kind, Selection, parse_symbol

_LIQUID = ("BTC-*", "BTC-USD-*-*-C")
"""What is chosen from where the settings select none of a kind. Options are only listed if a pattern of their form
selects them."""


def to_be_listed(selection: Selection) -> Selection:
    """Return what the exchange's listing is read for: the settings' selection, and what may stand in for it."""
    return Selection([*selection.exact, *selection.patterns, *_LIQUID])


def choose(listed: Iterable[Instrument], selection: Selection) -> list[Instrument]:
    """Return an instrument of each kind: the settings' first, or else one that is traded much."""
    by_kind: dict[tuple[Kind, bool], list[Instrument]] = {}
    for instrument in listed:
        if instrument.status == "trading":
            by_kind.setdefault((instrument.kind, instrument.inverse), []).append(instrument)
    return [_choose(instruments, selection) for _, instruments in sorted(by_kind.items())]


def _choose(instruments: list[Instrument], selection: Selection) -> Instrument:
    by_symbol = {instrument.symbol: instrument for instrument in instruments}
    for symbol in selection.exact:
        if symbol in by_symbol:
            return by_symbol[symbol]
    names = sorted(symbol for symbol in by_symbol if symbol in selection) or sorted(by_symbol)
    return by_symbol[_busiest(names)]


def _busiest(symbols: list[str]) -> str:
    """Return the symbol of an instrument that is traded much and does not expire today.

    That is the second expiry, if there are several, and of its options the middle strike.
    """
    expiries = sorted({parse_symbol(symbol).expiry for symbol in symbols})
    expiry = expiries[min(1, len(expiries) - 1)]
    found = sorted(
        (each for each in map(parse_symbol, symbols) if each.expiry == expiry), key=lambda s: float(s.strike or 0)
    )
    return str(found[len(found) // 2])
