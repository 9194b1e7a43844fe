"""Definitions of tradable instruments: the facts needed to convert a frame's numbers to canonical ones."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from schemas.feeds import FEEDS, feed_of, to_exchange
from schemas.keys import key_of, split_key
from schemas.symbols import Kind, Symbol, is_currency, parse_symbol

Status = Literal["trading", "halted", "closed"]

_SIZE = re.compile(r"\d{1,20}(\.\d{1,40})?")


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text) or not float(text):
        raise ValueError("not a plain decimal above zero")
    return text


Size = Annotated[str, AfterValidator(_size)]


class Instrument(BaseModel):
    """One instrument of one feed. Decimals are plain strings.

    `contract_size`: what one unit of the exchange's amounts is worth. In base units if linear ("1" if amounts are base
    units already), in units of the quote currency if `inverse` (base = contracts x size / price).
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
        """The key of this instrument's records in every topic: `exchange:symbol`."""
        return key_of(self.exchange, self.symbol)


def instrument_of_key(key: str) -> Instrument:
    """Return the instrument of a key without its definition: as its symbol defines it, or a currency.

    Raise `SymbolError` if the exchange has no feed for it.
    """
    exchange, symbol = split_key(key)
    if not is_currency(symbol):
        return assumed_instrument(feed_of(exchange, symbol).name, exchange, symbol)
    feed = next((feed.name for feed in FEEDS.values() if feed.exchange == exchange), "")
    return Instrument(
        exchange=exchange,
        feed=feed,
        symbol=symbol,
        exchange_symbol=symbol,
        kind="currency",
        base=symbol,
        quote="",
    )


def assumed_instrument(feed: str, exchange: str, symbol: str) -> Instrument:
    """Return an instrument as its symbol defines it, for recordings without the exchange's definition.

    Amounts are assumed to be base units, or contracts of the size that the feed assumes.
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
        contract_size=FEEDS[feed].contract_size(parts),
        inverse=parts.is_inverse,
        expiry=parts.expiry,
    )


def defined_instrument(feed: str, exchange: str, symbol: str, **fields: Any) -> Instrument:
    """Return an instrument as the exchange's metadata define it. Raise `ValueError` if a field has the wrong type."""
    return Instrument(**assumed_instrument(feed, exchange, symbol).model_dump() | fields)


def differences(before: Instrument, after: Instrument) -> dict[str, tuple[Any, Any]]:
    """Return the old and the new value of each field that differs, by the field's name."""
    old, new = before.model_dump(), after.model_dump()
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}
