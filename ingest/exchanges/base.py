"""Connector: everything that differs between feeds. The rest is common to all (`ingest/connection.py`)."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import orjson

from ingest.exchanges.listing import Listing
from ingest.rest import Rest
from ingest.skips import Skips
from schemas.channels import CHANNELS
from schemas.errors import ExchangeError, SymbolError
from schemas.feeds import FEEDS, Feed
from schemas.instruments import Instrument
from schemas.symbols import Selection, parse_symbol

_MAX_REASON = 300  # characters of an exchange's message, which is written once per instrument
_ENTRIES_PER_TURN = 200  # listed entries that are parsed before other tasks get a turn


class Route(NamedTuple):
    """Kind, instrument and channel of a frame. `symbol`: the exchange's own name, empty if the frame has none.

    `channel`: `trades`, `books`, `quotes`, `snapshot` (REST), or the exchange's own name for any other.
    """

    kind: Literal["data", "control", "unknown"]
    symbol: str = ""
    channel: str = ""


CONTROL = Route("control")
LONGEST_NAME = 256  # bytes of a frame in which its channel's name must end: names are cached, so they must be short
UNKNOWN_FRAME = Route("unknown")


class Control(NamedTuple):
    """Parsed control frame. If `routes` is empty, it is about the whole request `id`.

    An acknowledgement with a `reason` is final: the routes of its request that it does not name are rejected for that
    reason. `subscriptions`: the answer to `subscriptions_request`. `closing`: the exchange will close the connection.
    `notice`: it announces something else. `routine`: nothing to do, except to send the `reply`, if there is one.
    """

    kind: Literal["acknowledged", "rejected", "subscriptions", "closing", "notice", "routine", "unknown"]
    id: str = ""
    routes: tuple[Route, ...] = ()
    reason: str = ""
    reply: str = ""


_NOT_AN_OBJECT = Control("unknown")


class Request(NamedTuple):
    """One message to the exchange, and the routes it subscribes to. Without `routes` no acknowledgement is awaited."""

    id: str
    text: str
    routes: tuple[Route, ...]


class Connector(ABC):
    """Protocol adapter of one feed: addresses, names, messages, limits. Rates are (count, seconds).

    Stateless, except for what it has reported as skipped.

    `depth`: levels per side that its books should have. A feed uses the smallest depth it offers that is at least this,
    or its largest.
    """

    name: ClassVar[str]
    ws: ClassVar[str]
    rest: ClassVar[str]
    paths: ClassVar[dict[str, tuple[str, ...]]]  # channels by the WebSocket path, and so the socket, that serves them
    snapshots: ClassVar[Literal["stream", "message", "rest"]]  # how a book's snapshot is obtained
    compression: ClassVar[Literal["deflate"] | None] = None
    connect_rate: ClassVar[tuple[float, float]]
    message_rate: ClassVar[tuple[float, float]]
    instruments_per_connection: ClassVar[int]
    weight_per_minute: ClassVar[int]
    lifetime_s: ClassVar[float] = float("inf")  # s after which a connection is renewed
    connection_timeout_s: ClassVar[float] = 30.0  # s without any frame after which a connection is closed
    ping: ClassVar[str] = ""  # text sent when idle; empty if WebSocket pings suffice
    ping_after_s: ClassVar[float] = 20.0  # s without any frame
    announcement_path: ClassVar[str] = ""  # path that announces changes of instruments; empty if none
    announcement_channels: ClassVar[frozenset[str]] = frozenset()  # channels of its frames, as `route` names them
    name_field: ClassVar[str]  # field of a listed entry with the exchange's own name

    def __init__(self, channels: Iterable[str] = CHANNELS, depth: int = 400) -> None:
        self.channels = tuple(channels)
        self.depth = depth
        self.skips = Skips(self.name, self.feed.exchange)

    @property
    def feed(self) -> Feed:
        return FEEDS[self.name]

    def decode(self, frame: bytes) -> bytes:
        """Decompress a received frame; return it unchanged if that fails."""
        return frame

    @abstractmethod
    def subscribe(self, symbols: Iterable[str], channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        """Return the messages that subscribe to these channels of these instruments (the exchange's names)."""

    @abstractmethod
    def unsubscribe(self, symbol: str, channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        """Return the messages that unsubscribe from these channels of one instrument. No answer is awaited."""

    def resubscribe(self, symbol: str, channel: str, ids: Iterator[int]) -> list[Request]:
        """Return the messages that unsubscribe from one channel of one instrument and subscribe to it again.

        For `books`, this brings a fresh snapshot if `snapshots` is `stream`.
        """
        return [*self.unsubscribe(symbol, (channel,), ids), *self.subscribe([symbol], (channel,), ids)]

    def subscriptions_request(self) -> str:
        """Return a message that requests the list of our subscriptions; empty if acknowledgements are reliable."""
        return ""

    def announcement_requests(self, selection: Selection) -> list[str]:
        """Return the messages that subscribe to announcements. Only called if there is an `announcement_path`."""
        return []

    @abstractmethod
    def route(self, frame: bytes) -> Route:
        """Return a frame's route. On the hot path: the common forms cost a slice and a look-up."""

    def parse_control(self, frame: bytes) -> Control:
        """Parse a frame that `route` calls control. Never raises: a malformed frame is `unknown`."""
        try:
            body = orjson.loads(frame)
            if type(body) is not dict:
                return _NOT_AN_OBJECT
            control = self.interpret_control(body)
        except orjson.JSONDecodeError:
            return Control("unknown", reason="not JSON")
        except Exception as error:  # noqa: BLE001 - no frame of an exchange may end the connection
            return Control("unknown", reason=repr(error)[:_MAX_REASON])
        return control if len(control.reason) <= _MAX_REASON else control._replace(reason=control.reason[:_MAX_REASON])

    @abstractmethod
    def interpret_control(self, body: dict[str, Any]) -> Control:
        """Interpret the JSON object of a control frame. May raise anything for a malformed one."""

    async def instruments(self, rest: Rest, selection: Selection) -> Listing:
        """Fetch the definitions of the selected instruments. `ExchangeError` if the listing cannot be read.

        An entry that cannot be used is skipped, and reported once.
        """
        try:
            entries_by_query = await self.fetch_entries(rest, selection)
        except ExchangeError:
            raise
        except Exception as error:
            raise ExchangeError(f"{self.name}: cannot parse the listing: {error!r}"[:_MAX_REASON]) from error
        listing = Listing()
        for query, entries in entries_by_query.items():
            listing.sizes[query] += len(entries)
            for number, entry in enumerate(entries):
                self._add_entry(listing, entry, selection)
                if number % _ENTRIES_PER_TURN == 0:
                    await asyncio.sleep(0)  # let frames be read
        return listing

    def _add_entry(self, listing: Listing, entry: Any, selection: Selection) -> None:
        try:
            symbol = self.symbol_of(entry)
            if symbol not in selection:
                return
            if parse_symbol(symbol).kind not in self.feed.kinds:
                raise SymbolError(f"{symbol} is of a kind that this feed does not serve")
            found = self.definition(symbol, entry)
            if symbol in listing and "closed" not in (listing[symbol].status, found.status):
                raise ValueError(f"{symbol} is already listed as {listing[symbol].exchange_symbol}")
            if symbol not in listing or found.status != "closed":
                listing[symbol] = found
        except Exception as error:  # noqa: BLE001 - one malformed entry must not cost the others
            name = self._name_of(entry)
            listing.skipped.add(name)
            self.skips.report(name, f"{error} is missing" if isinstance(error, KeyError) else str(error) or repr(error))

    def _name_of(self, entry: Any) -> str:
        name = entry.get(self.name_field) if type(entry) is dict else None
        return name if type(name) is str and name else "an entry without a name"

    @abstractmethod
    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        """Fetch all entries of the exchange's listing, by query. May raise anything for a malformed answer."""

    @abstractmethod
    def symbol_of(self, entry: Any) -> str:
        """Return the canonical symbol of a listed entry. May raise anything for a malformed one."""

    @abstractmethod
    def definition(self, symbol: str, entry: Any) -> Instrument:
        """Return the instrument of a listed entry. May raise anything; a contract size is never assumed."""

    @abstractmethod
    async def server_time(self, rest: Rest) -> int:
        """Return the exchange's time, µs since the epoch. May raise anything for a malformed answer."""

    def seed_levels(self) -> int:
        """Return the levels per side of a requested snapshot; 0 if snapshots come in the stream."""
        return 0

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        """Return the message that requests a book snapshot. Only called if `snapshots` is `message`."""
        raise NotImplementedError

    async def snapshot(self, rest: Rest, symbol: str) -> bytes:
        """Fetch a book snapshot by REST. Return the body unchanged. Only called if `snapshots` is `rest`."""
        raise NotImplementedError
