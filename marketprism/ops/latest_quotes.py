"""Follow the newest quote of each instrument, from the topic `market.quotes`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec
import structlog
from aiokafka import TopicPartition

from marketprism.ops.tail import tail
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_TOPIC = "market.quotes"


class _Quote(msgspec.Struct, gc=False):
    """What the view needs of a quote."""

    exchange: str
    symbol: str
    local_timestamp: int
    origin: str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Price:
    """One side's best price and the amount there, both empty without one.

    `moved`: 1 up or -1 down, by the change at `moved_at` (µs).
    """

    text: str = ""
    amount: str = ""
    moved: int = 0
    moved_at: int = 0

    def followed_by(self, levels: Sequence[tuple[str, str]], at: int) -> "Price":
        """Return the price after a quote with these levels."""
        text, amount = levels[0] if levels else ("", "")
        if not text or not self.text:
            return Price(text, amount)
        if text == self.text:
            return replace(self, amount=amount)
        return Price(text, amount, 1 if Decimal(text) > Decimal(self.text) else -1, at)


@dataclass(frozen=True, slots=True)
class LatestQuote:
    """Newest quote of one instrument, of whichever origin. `received_at`: µs, by ingest.

    `is_by_rest`: it was polled, as no socket brings the book.
    """

    exchange: str
    symbol: str
    received_at: int
    bid: Price = Price()
    ask: Price = Price()
    is_by_rest: bool = False


class LatestQuotes:
    """Newest quotes by record key, `exchange:symbol`.

    Of the records that arrive between two calls of `read` only each instrument's last is decoded, so that a fast
    market costs little more than a slow one.
    """

    def __init__(self, settings: Settings, start_offsets: Mapping[str, Sequence[int]] | None = None) -> None:
        self._kafka = settings.kafka
        first = (start_offsets or {}).get(_TOPIC, [0] * settings.partitions)
        self._next_offsets = {
            TopicPartition(settings.topic(_TOPIC), number): offset for number, offset in enumerate(first)
        }
        self._undecoded: dict[bytes, bytes] = {}
        self._quotes: dict[bytes, LatestQuote] = {}
        self._decoder = msgspec.json.Decoder(_Quote)

    async def run(self) -> None:
        """Read until cancelled. After an error, try again."""
        async for record in tail(self._kafka, self._next_offsets):
            self.add_record(record.key, record.value)

    def add_record(self, key: bytes, value: bytes) -> None:
        """Take a record as the newest of its key."""
        self._undecoded[key] = value

    def read(self) -> list[LatestQuote]:
        """Return the newest quotes."""
        undecoded, self._undecoded = self._undecoded, {}
        for key, value in undecoded.items():
            self._decode(key, value)
        return list(self._quotes.values())

    def _decode(self, key: bytes, value: bytes) -> None:
        try:
            quote = self._decoder.decode(value)
        except msgspec.MsgspecError as error:
            log.warning("not a quote", key=repr(key), reason=str(error))
            return
        before = self._quotes.get(key) or LatestQuote(quote.exchange, quote.symbol, 0)
        at = quote.local_timestamp
        self._quotes[key] = LatestQuote(
            quote.exchange,
            quote.symbol,
            at,
            before.bid.followed_by(quote.bids, at),
            before.ask.followed_by(quote.asks, at),
            quote.origin == "rest",
        )
