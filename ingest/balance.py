"""Decide which instruments to move between a feed's connections, so that all carry about the same load."""

from collections.abc import Mapping, Sequence

MOST = 1.25  # times the mean load: above it, instruments are moved
_AIM = 1.1  # times the mean: what moving is done for
_MOST_MOVES = 24  # at once: each costs messages, which exchanges limit

Loads = Mapping[str, float]  # frames/s by instrument, of one connection


def balance(loads: Sequence[Loads], size: int) -> dict[str, int]:
    """Return the new place, an index of `loads`, of each instrument that should move.

    `size`: most instruments of a connection. A full one gives a quiet instrument in exchange for a busy one.
    """
    groups = [dict(each) for each in loads]
    sums = [sum(group.values()) for group in groups]
    mean = sum(sums) / len(sums) if sums else 0.0
    if not mean or max(sums) <= MOST * mean:
        return {}
    before = {name: number for number, group in enumerate(loads) for name in group}
    places: dict[str, int] = {}
    while max(sums) > _AIM * mean and len(places) < _MOST_MOVES:
        busiest, idlest = sums.index(max(sums)), sums.index(min(sums))
        swap = _swap(groups[busiest], groups[idlest], (sums[busiest] - sums[idlest]) / 2, size)
        if not swap:
            break
        for name, source, target in zip(swap, (busiest, idlest), (idlest, busiest), strict=False):
            rate = groups[target][name] = groups[source].pop(name)
            sums[source] -= rate
            sums[target] += rate
            places[name] = target
    return {name: place for name, place in places.items() if place != before[name]}


def _swap(busy: dict[str, float], idle: dict[str, float], excess: float, size: int) -> tuple[str, ...]:
    """Return the instrument whose move brings two connections nearest to one another, and what returns if one is full.

    It is empty if no move would help. `excess`: half of their difference.
    """
    back = min(idle, key=idle.__getitem__) if len(idle) >= size else ""
    returned = idle[back] if back else 0.0
    name = min(busy, key=lambda each: abs(busy[each] - returned - excess))
    if not 0 < busy[name] - returned < 2 * excess:
        return ()
    return (name, back) if back else (name,)
