"""Decide whether a book update follows the book's last one: one small function per feed, with numbered rules.

Each takes the last sequence applied to the book, the update, and whether it would be the first one after a snapshot.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from streams.normalize.messages import BookMessage


class Verdict(Enum):
    """Verdict on an update."""

    APPLY = 1
    DROP = 2  # the book contains it already
    GAP = 3


APPLY, DROP, GAP = Verdict  # used for every update, and an enum's attributes are slow to look up

Judge = Callable[[int, BookMessage, bool], Verdict]


def binance_spot(sequence: int, update: BookMessage, first: bool) -> Verdict:
    """Judge an update of Binance spot: docs/protocols/binance.md §1.5.

    1. `u` <= sequence: nothing new, drop.
    2. `U` <= sequence + 1: follows or overlaps, apply (overlap is harmless: amounts are absolute).
    3. Anything else is a gap.
    """
    if update.last <= sequence:
        return DROP
    return APPLY if update.first <= sequence + 1 else GAP


def binance_usdm(sequence: int, update: BookMessage, first: bool) -> Verdict:
    """Judge an update of Binance USD-M: docs/protocols/binance.md §2.4. Ids are not consecutive: only `pu` chains.

    1. First after a snapshot of id L: `u` < L drop; `U` <= L <= u, or `pu` == L (seen on the wire), apply; else a gap.
    2. Afterwards: `pu` == sequence apply; `u` <= sequence is a duplicate, drop; else a gap.
    """
    if update.previous == sequence:
        return APPLY
    if first:
        if update.last < sequence:
            return DROP
        return APPLY if update.first <= sequence else GAP
    return DROP if update.last <= sequence else GAP


def okx(sequence: int, update: BookMessage, first: bool) -> Verdict:
    """Judge an update of OKX: docs/protocols/okx.md §3.5.

    1. `prevSeqId` == sequence: apply; also when `seqId` equals it (keep-alive) or is below it (maintenance reset).
    2. `prevSeqId` < `seqId` <= sequence: a duplicate, drop.
    3. Anything else is a gap.
    """
    if update.previous == sequence:
        return APPLY
    return DROP if update.previous < update.last <= sequence else GAP


def htx_spot(sequence: int, update: BookMessage, first: bool) -> Verdict:
    """Judge an update of HTX spot: docs/protocols/htx.md §4.5.

    1. `seqNum` <= sequence: nothing new, drop.
    2. `prevSeqNum` <= sequence: follows or overlaps, apply (overlap is harmless: amounts are absolute).
    3. Anything else is a gap.
    """
    if update.last <= sequence:
        return DROP
    return APPLY if update.previous <= sequence else GAP


def htx_linear(sequence: int, update: BookMessage, first: bool) -> Verdict:
    """Judge an update of HTX linear: docs/protocols/htx.md §5.5. Versions are consecutive within one connection only.

    1. `version` == sequence + 1: apply.
    2. `version` <= sequence: a duplicate, drop.
    3. Anything else is a gap.
    """
    if update.last == sequence + 1:
        return APPLY
    return DROP if update.last <= sequence else GAP


def deribit(sequence: int, update: BookMessage, first: bool) -> Verdict:
    """Judge an update of Deribit: docs/protocols/deribit.md §6.5. Ids jump, as instruments share them.

    1. `prev_change_id` == sequence: apply.
    2. `change_id` <= sequence: a duplicate, drop.
    3. Anything else is a gap.
    """
    if update.previous == sequence:
        return APPLY
    return DROP if update.last <= sequence else GAP


class Rule(NamedTuple):
    """How a feed's books go on. `judge` decides on an update.

    `cut_at`: the level counts at which a side of a fetched snapshot (a seed) is cut off; a shorter side is whole. It is
    empty where the feed sends snapshots in the stream, and keeps the book that they show complete.
    """

    judge: Judge
    cut_at: frozenset[int] = frozenset()


_USDM_CUTS = frozenset({50, 100, 500, 1000})

RULES: dict[str, Rule] = {
    "binance-spot": Rule(binance_spot, frozenset({100, 500, 1000, 5000})),
    "binance-usdm": Rule(binance_usdm, _USDM_CUTS),
    "binance-coinm": Rule(binance_usdm, _USDM_CUTS),
    "okx": Rule(okx),
    "htx-spot": Rule(htx_spot, frozenset({150, 400})),
    "htx-linear": Rule(htx_linear),
    "deribit": Rule(deribit),
}
