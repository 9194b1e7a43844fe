"""A price level of an event."""

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct


class Level(Struct, frozen=True, gc=False, array_like=True):
    """One price level: `level.price`, `level.amount` (base units), or `price, amount = level`.

    It holds the published text, and converts it on access: a book update has dozens of levels, and to convert all of
    them costs five times as much as the rest of the decoding.
    """

    price_text: str
    amount_text: str

    @property
    def price(self) -> Decimal:
        """Price in quote units."""
        return Decimal(self.price_text)

    @property
    def amount(self) -> Decimal:
        """Amount in base units."""
        return Decimal(self.amount_text)

    def __str__(self) -> str:
        return f"{self.price_text} × {self.amount_text}"

    def __iter__(self) -> Iterator[Decimal]:
        return iter((self.price, self.amount))
