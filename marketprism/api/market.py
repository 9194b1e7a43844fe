"""What the topics say at the moment: instruments, books, and the latest events of each kind."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from marketprism.api.channels import Channels, Latest, Log
from marketprism.api.comparison import Comparison, Row, RowState, compared
from marketprism.api.feed_state import FeedState
from marketprism.api.instruments import Instruments, Key
from marketprism.api.records import Record, TimedHead
from marketprism.api.spans import now_us
from marketprism.client.level import Level
from marketprism.client.order_book import OrderBook, OrderBooks
from schemas.feeds import EXCHANGES, FEEDS

_QUOTE_STALE_AFTER = 30_000_000  # µs
_BOOK_LEVELS = 20
_DEPTH_LEVELS = 200
_DEPTH_EVERY = 5  # frames
_LATE = 100_000_000  # µs after which an event was not received live: what is filled in is two minutes old at least
_UPDATES = 600  # times of book updates that are kept, for their rate

_encode = msgspec.json.Encoder().encode


class _QuoteFields(msgspec.Struct, gc=False):
    origin: str
    bids: list[Level]
    asks: list[Level]
    local_timestamp: int


_quote_of = msgspec.json.Decoder(_QuoteFields).decode


@dataclass(slots=True)
class Truth:
    """Comparisons of an instrument's book with the exchange's BBO, since this process started to read."""

    compared: int = 0
    agreed: int = 0
    differed: int = 0


@dataclass(slots=True)
class BookHistory:
    """What happened to a book: the times of its latest updates, µs, and the truth check."""

    updates: deque[int] = field(default_factory=partial(deque, maxlen=_UPDATES))
    truth: Truth = field(default_factory=Truth)


class Market:
    """State of all instruments. `apply` takes the records of all topics; each change marks channels."""

    def __init__(self) -> None:
        self.channels = Channels()
        self.instruments = Instruments()
        self.books: dict[Key, OrderBook] = {}
        self.history: defaultdict[Key, BookHistory] = defaultdict(BookHistory)
        self.applied = 0
        self._newest: dict[tuple[str, str, str], int] = {}  # timestamps, by table, exchange and symbol
        self._order_books = OrderBooks()
        self._exchanges: dict[str, list[str]] = {}  # of each symbol with a quote, in a fixed order
        self._handlers: dict[str, Callable[[Record], None]] = {
            "quotes": self._on_quote,
            "books": self._on_book,
            "gaps": self._on_gap,
            "status": self._on_status,
            "quality": self._on_quality,
            "instruments": self._on_instrument,
            "signals": self._on_signal,
            "trades": self._on_item,
            "liquidations": self._on_item,
            "dead_letters": self._on_item,
            "candles": self._on_candle,
            "long_short_ratios": self._on_ratio,
        }

    def apply(self, record: Record) -> None:
        """Apply one event."""
        self.applied += 1
        if isinstance(record.fields, TimedHead) and self._is_past(record.table, record.fields):
            return
        self._handlers.get(record.table, self._on_value)(record)

    def _is_past(self, table: str, fields: TimedHead) -> bool:
        """Return whether an event was filled in: it is late, and a newer one of its kind is known."""
        key = table, fields.exchange, fields.symbol
        newest = self._newest.get(key, 0)
        if fields.timestamp >= newest:
            self._newest[key] = fields.timestamp
            return False
        return fields.local_timestamp - fields.timestamp > _LATE

    # Events

    def _on_value(self, record: Record, detail: str = "") -> None:
        fields = record.fields
        self.instruments.seen(fields)
        self.channels.set(f"{record.table}:{fields.symbol}:{fields.exchange}{detail}", record.value)

    def _on_candle(self, record: Record) -> None:
        fields = record.fields
        parts = (fields.interval, fields.contract, "" if fields.origin == "exchange" else fields.origin)
        self._on_value(record, ":" + ".".join(filter(None, parts)))

    def _on_ratio(self, record: Record) -> None:
        self._on_value(record, f":{record.fields.scope}")

    def _on_item(self, record: Record, most: int = 50) -> None:
        self.instruments.seen(record.fields)
        self._append(record, record.source, most)

    def _on_quote(self, record: Record) -> None:
        self._on_value(record)
        exchange, symbol = record.fields.exchange, record.fields.symbol
        exchanges = self._exchanges.get(symbol, ())
        if exchange not in exchanges:
            self._exchanges[symbol] = [each for each in EXCHANGES if each in exchanges or each == exchange]
        self._mark_rendered(f"compare:{symbol}", partial(self._comparison_json, symbol))

    def _on_book(self, record: Record) -> None:
        event = record.fields
        self.instruments.seen(event)
        book = self._order_books.apply(event)
        if book is not None:
            key = event.exchange, event.symbol
            self.books[key] = book
            self.history[key].updates.append(event.local_timestamp)
            self._mark_book(book)

    def _on_gap(self, record: Record) -> None:
        event = record.fields
        self._append(record, event.id, 20, event.type == "opened")
        self._on_end(event)

    def _on_status(self, record: Record) -> None:
        event = record.fields
        if instrument := self.instruments.find(event.exchange, event.symbol):
            instrument.on_status(event)
            if event.type != "report":
                self._append(record, record.source, 20)
                self._mark_feed(instrument.feed.name)
        self._on_end(event)

    def _on_quality(self, record: Record) -> None:
        event = record.fields
        if event.type == "report" and event.check == "book":
            truth = self.history[event.exchange, event.symbol].truth
            truth.compared += event.compared
            truth.agreed += event.agreed
            truth.differed += event.differed
        self._append(record, record.source, 20)

    def _on_instrument(self, record: Record) -> None:
        event = record.fields
        if instrument := self.instruments.find(event.exchange, event.symbol):
            instrument.definition, instrument.definition_json = event, record.value
            self.channels.set(f"instruments:{event.symbol}:{event.exchange}", record.value)

    def _on_signal(self, record: Record) -> None:
        event = record.fields
        self.channels.append(f"signals:{event.symbol}", record.value, event.id, 50, event.type != "closed")

    def _on_end(self, event: Any) -> None:
        book = self._order_books.apply(event)
        if book is not None:
            self._mark_book(book)

    # Channels

    def _append(self, record: Record, key: str, most: int, is_open: bool = False) -> None:
        fields = record.fields
        self.channels.append(f"{record.table}:{fields.symbol}:{fields.exchange}", record.value, key, most, is_open)

    def _mark_book(self, book: OrderBook) -> None:
        name = f"{book.symbol}:{book.exchange}"
        self._mark_rendered(f"books:{name}", partial(book_json, book, _BOOK_LEVELS))
        self._mark_rendered(f"depth:{name}", partial(book_json, book, _DEPTH_LEVELS), _DEPTH_EVERY)

    def _mark_feed(self, feed: str) -> None:
        name = f"feeds:*:{FEEDS[feed].exchange}:{feed}"
        self._mark_rendered(name, partial(self._feed_json, feed))

    def _mark_rendered(self, name: str, render: Callable[[], bytes], every: int = 1) -> None:
        channel = self.channels.by_name.get(name)
        if channel is None:
            channel = Latest(name, render, every)
            self.channels.add(channel)
        self.channels.mark(channel)

    def on_second(self) -> None:
        """Mark what changes by time alone: ages, and what has become stale. Forget what is gone."""
        now = now_us()
        self.instruments.on_second(now)
        for key in self.instruments.take_closed(now):
            self._forget(key)
        for feed in self.instruments.by_feed:
            self._mark_feed(feed)
        for symbol in self._exchanges:
            self.channels.mark(self.channels.by_name[f"compare:{symbol}"])

    def _forget(self, key: Key) -> None:
        exchange, symbol = key
        self._order_books.forget(exchange, symbol)
        self.books.pop(key, None)
        self.history.pop(key, None)
        self._newest = {each: time for each, time in self._newest.items() if each[1:] != key}
        exchanges = [each for each in self._exchanges.pop(symbol, []) if each != exchange]
        if exchanges:
            self._exchanges[symbol] = exchanges
        for channel in list(self.channels):
            place = channel.name.split(":")[1:3]
            if place == [symbol, exchange] or (place == [symbol] and not exchanges):
                self.channels.remove(channel)

    # Feeds

    def feeds(self) -> list[FeedState]:
        """Return the state of each feed with an instrument."""
        now = now_us()
        return [self.instruments.feed_state(feed, now) for feed in FEEDS if self.instruments.by_feed.get(feed)]

    def _feed_json(self, feed: str) -> bytes:
        return _encode(self.instruments.feed_state(feed, now_us()))

    # Comparison

    def symbols(self) -> list[str]:
        """Return the symbols of which there is a quote."""
        return sorted(self._exchanges)

    def comparison(self, symbol: str) -> Comparison:
        """Return the comparison of a symbol's quotes."""
        exchanges = self._exchanges.get(symbol, ())
        return compared(symbol, self._tick(symbol, exchanges), [self._row(each, symbol) for each in exchanges])

    def _comparison_json(self, symbol: str) -> bytes:
        return _encode(self.comparison(symbol))

    def _tick(self, symbol: str, exchanges: Iterable[str]) -> Decimal | None:
        instruments = [self.instruments.get((exchange, symbol)) for exchange in exchanges]
        ticks = [each.definition.tick_size for each in instruments if each and each.definition]
        return min((tick for tick in ticks if tick), default=None)

    def _row(self, exchange: str, symbol: str) -> Row:
        channel = self.channels.by_name[f"quotes:{symbol}:{exchange}"]
        quote = _quote_of(channel.snapshot().body)
        bid, ask = quote.bids[:1], quote.asks[:1]
        return Row(
            exchange,
            self._row_state((exchange, symbol), quote),
            bid[0].price_text if bid else "",
            bid[0].amount_text if bid else "",
            ask[0].price_text if ask else "",
            ask[0].amount_text if ask else "",
            quote.local_timestamp,
        )

    def _row_state(self, key: Key, quote: _QuoteFields) -> RowState:
        instrument, book = self.instruments.get(key), self.books.get(key)
        is_old = now_us() - quote.local_timestamp > _QUOTE_STALE_AFTER
        if instrument is not None and instrument.is_closed:
            return "down"
        if quote.origin == "rest" and not is_old:  # its connections are down, and it goes on all the same
            return "rest"
        if instrument is not None and instrument.is_down:
            return "down"
        return "stale" if is_old or (book is not None and book.state != "live") else "live"

    # Latest events

    def open_items(self, table: str, key: Key) -> list[bytes]:
        """Return the items of an instrument that are open: gaps."""
        channel = self.channels.by_name.get(f"{table}:{key[1]}:{key[0]}")
        return channel.recent.open() if isinstance(channel, Log) else []

    def all_open(self, table: str) -> list[bytes]:
        """Return the items of all instruments that are open, in the order of the channels' names."""
        logs = [channel for channel in self.channels.of_kind(table) if isinstance(channel, Log)]
        return [item for log in logs for item in log.recent.open()]

    def latest(self, table: str) -> list[tuple[str, list[bytes]]]:
        """Return the names of a table's channels in their order, each with its latest events."""
        return [
            (channel.name, channel.recent.values() if isinstance(channel, Log) else [channel.snapshot().body])
            for channel in self.channels.of_kind(table)
        ]


def book_json(book: OrderBook, levels: int) -> bytes:
    """Return a book's best levels as JSON."""
    bids, asks = book.levels(levels)
    return _encode(
        {
            "exchange": book.exchange,
            "symbol": book.symbol,
            "state": book.state,
            "timestamp": book.timestamp,
            "local_timestamp": book.local_timestamp,
            "sequence": book.sequence,
            "bids": bids,
            "asks": asks,
        }
    )
