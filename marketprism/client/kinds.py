"""The functions of the client: one for each kind of event, and one for rebuilt books."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Generic

from marketprism.client.address import settings_of
from marketprism.client.events import Book, Gap, Status
from marketprism.client.order_book import OrderBook, OrderBooks
from marketprism.client.place import E
from marketprism.client.reader import Reader, decoders_of
from marketprism.client.selection import Instruments
from marketprism.client.span import Time, span_of
from schemas.events import EVENTS

BOOK_LOOKBACK = 120_000_000  # µs; a live book's last snapshot is at most `snapshot_s` old, which is a minute


class EventKind(Generic[E]):
    """Function that returns the events of one kind: `async for trade in trades("BTC-USDT", exchange="okx"): …`.

    `symbols`: canonical symbols or patterns (`BTC-*`); none means all. `exchange`: one or several; none means all.
    `start`, `end`: times of receipt, as datetimes or µs since the epoch. Without a start, events come from now on;
    without an end, for ever. `kafka`, `topic_prefix`: instead of the settings.

    Events that the topics already hold come in order of receipt, later ones as they arrive, each once. Outages of the
    broker only delay them. To stop early, leave the loop, or cancel its task.

    Raise `SymbolError` and `SettingsError` for unusable arguments, and when iterated `StackError` if there is no broker
    or no topic, and `SymbolError` for a symbol that nobody ingests.
    """

    def __init__(self, model: type[E]) -> None:
        self.model = model

    def __call__(
        self,
        *symbols: str,
        exchange: str | Iterable[str] = (),
        start: Time | None = None,
        end: Time | None = None,
        kafka: str | None = None,
        topic_prefix: str | None = None,
    ) -> AsyncGenerator[E, None]:
        key = EVENTS[self.model.topic_name].topic_key
        instruments = Instruments(key, symbols, _several(exchange))
        settings, span = settings_of(kafka, topic_prefix), span_of(start, end)
        return _events(Reader(settings, decoders_of([self.model]), instruments, span))


async def _events(reader: Reader[E]) -> AsyncGenerator[E, None]:
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            for event in batch:
                yield event


def books(
    *symbols: str,
    exchange: str | Iterable[str] = (),
    start: Time | None = None,
    end: Time | None = None,
    kafka: str | None = None,
    topic_prefix: str | None = None,
) -> AsyncGenerator[OrderBook, None]:
    """Return the rebuilt book of an instrument after each of its changes. The arguments are those of `EventKind`.

    Without a start, each book comes once as it is now, and then with each change. It is the same object each time.
    """
    span = span_of(start, end)
    instruments = Instruments(EVENTS[Book.topic_name].topic_key, symbols, _several(exchange))
    models: list[type[Book] | type[Gap] | type[Status]] = [Book, Gap, Status]
    settings = settings_of(kafka, topic_prefix)
    return _books(Reader(settings, decoders_of(models), instruments, span, BOOK_LOOKBACK), span.start)


async def _books(reader: Reader[Book | Gap | Status], start: int | None) -> AsyncGenerator[OrderBook, None]:
    order_books = OrderBooks()
    is_current = start is not None
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            for event in batch:
                book = order_books.apply(event)
                if book is not None and is_current and event.local_timestamp >= (start or 0):
                    yield book
            if reader.is_current and not is_current:
                is_current = True
                for book in order_books:
                    yield book


def _several(exchange: str | Iterable[str]) -> tuple[str, ...]:
    return (exchange,) if isinstance(exchange, str) else tuple(exchange)
