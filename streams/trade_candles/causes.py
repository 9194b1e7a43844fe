"""Compare a candle of trades with the exchange's own, and find what explains a difference."""

from decimal import Decimal
from itertools import chain, combinations
from typing import Any

from streams.decimals import EXACT
from streams.normalize.messages import Candle
from streams.trade_candles.bucket import Bucket, merged
from streams.trade_candles.candle import LATE, TradeCandle

FIELDS = (
    "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume",
)  # fmt: skip
_VOLUMES = ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
_BASE_VOLUMES = ("volume", "taker_buy_volume")
_ROUNDED = Decimal("1e-8")  # base units: those of inverse contracts are quotients, which exchanges round to 8 places
_NO_TRADES: dict[str, Any] = dict.fromkeys(_VOLUMES, "0") | {"trades": 0}


def figures_of(bucket: Bucket | None) -> dict[str, Any]:
    """Return the figures to compare. Without trades there are no prices."""
    return bucket.fields() if bucket else _NO_TRADES


def differing(ours: dict[str, Any], theirs: Candle, is_inverse: bool) -> list[str]:
    """Return the fields that both have, and that are not the same number."""
    rounded = _BASE_VOLUMES if is_inverse else ()
    return [
        name
        for name in FIELDS
        if ours.get(name) is not None
        and getattr(theirs, name) is not None
        and not _are_equal(Decimal(ours[name]), Decimal(getattr(theirs, name)), name in rounded)
    ]


def _are_equal(own: Decimal, other: Decimal, is_rounded: bool) -> bool:
    return own == other or (is_rounded and abs(EXACT.subtract(own, other)) < _ROUNDED)


def cause_of(ours: TradeCandle, theirs: Candle, is_inverse: bool) -> str:
    """Return why the two differ, as far as it is known; else an empty text."""
    labels = sorted(ours.left_out)
    for chosen in chain.from_iterable(combinations(labels, size) for size in range(1, len(labels) + 1)):
        total = merged([*([ours.bucket] if ours.bucket else []), *(ours.left_out[label] for label in chosen)])
        if not differing(figures_of(total), theirs, is_inverse):
            return LATE if LATE in chosen else "not_on_book"
    figures = figures_of(ours.bucket)
    names = differing(figures, theirs, is_inverse)
    if names == ["trades"] and figures["trades"] < (theirs.trades or 0):
        return "aggregated"
    if ours.bucket and "volume" in names and _is_doubled(ours.bucket, theirs, is_inverse):
        return "both_sides"
    return "" if ours.is_whole else "gap"


def _is_doubled(bucket: Bucket, theirs: Candle, is_inverse: bool) -> bool:
    """Return whether the exchange counts the buyer's and the seller's side of each trade."""
    return set(differing(bucket.doubled().fields(), theirs, is_inverse)) <= {"trades"}
