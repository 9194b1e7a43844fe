"""What each channel and poll is expected to send: one table per exchange, from docs/protocols.

A table maps our name of a channel or poll, or the exchange's name of a variant, to its shapes, of which a frame has
one. What the normalizers read is required; what they do not read may be missing, but is known.
"""

from collections.abc import Mapping

from marketprism.probe.expected import binance, deribit, htx, okx
from marketprism.probe.shape import Shape, parse_shape
from schemas.channels import family_of
from schemas.symbols import Kind

EXPECTED: Mapping[str, Mapping[str, tuple[Shape, ...]]] = {
    feed: {name: tuple(map(parse_shape, shapes)) for name, shapes in table.items()}
    for exchange in (binance, okx, htx, deribit)
    for feed, table in exchange.EXPECTED.items()
}
"""By feed, and by channel, variant, poll, `snapshot` or `fallback`.

Channels of candles are `candles` or `continuous_candles`."""

TRADED_LITTLE: Mapping[str, frozenset[Kind]] = {"deribit": deribit.TRADED_LITTLE}
"""Kinds of instruments, by feed, of which even the first is not traded every minute."""


def shapes_of(feed: str, channel: str, variant: str = "") -> tuple[Shape, ...]:
    """Return the shapes of a channel or poll, or of its variant. `KeyError` if the table lacks it."""
    return EXPECTED[feed][variant or family_of(channel)]
