"""What is known of one tradable instrument: the facts that turn a frame's numbers into canonical ones."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from schemas.feeds import to_exchange
from schemas.keys import key_of
from schemas.symbols import Kind, Symbol, parse_symbol

Status = Literal["trading", "halted", "closed"]

_SIZE = re.compile(r"\d{1,20}(\.\d{1,40})?")


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text) or not float(text):
        raise ValueError("not a plain decimal above zero")
    return text


Size = Annotated[str, AfterValidator(_size)]


class Instrument(BaseModel):
    """One instrument of one feed. Decimals are plain strings.

    `contract_size`: what one unit of the exchange's amounts stands for: base units when linear ("1" where amounts
    are base units already), units of the quote currency when `inverse` (base = contracts x size / price).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    exchange: str
    feed: str
    symbol: str
    exchange_symbol: str
    kind: Kind
    base: str
    quote: str
    settle: str = ""
    tick_size: str = ""
    lot_size: str = ""
    contract_size: Size = "1"
    inverse: bool = False
    expiry: str = ""
    status: Status = "trading"

    @property
    def key(self) -> str:
        """`exchange:symbol`, the key of this instrument's records in every topic."""
        return key_of(self.exchange, self.symbol)


def assumed_instrument(feed: str, exchange: str, symbol: str) -> Instrument:
    """What can be known without the exchange's metadata: for recordings that hold no definition.

    Amounts are taken as base units, or as contracts of one where the kind has contracts.
    """
    parts: Symbol = parse_symbol(symbol)
    return Instrument(
        exchange=exchange,
        feed=feed,
        symbol=symbol,
        exchange_symbol=to_exchange(feed, symbol),
        kind=parts.kind,
        base=parts.base,
        quote=parts.quote,
        inverse=parts.is_inverse,
        expiry=parts.expiry,
    )


def defined_instrument(feed: str, exchange: str, symbol: str, **fields: Any) -> Instrument:
    """An instrument as the exchange's metadata define it; `ValueError` where a field has another type."""
    return Instrument(**assumed_instrument(feed, exchange, symbol).model_dump() | fields)
