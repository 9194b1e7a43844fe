"""What one feed's file has to say about its exchange; everything else is the same for all (`ingest/connection.py`)."""

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

_REASON = 300  # characters of what an exchange says: it is written for each instrument
_AT_ONCE = 200  # entries that are read before others have their turn


class Route(NamedTuple):
    """What a frame is. `symbol` is the exchange's own name, empty where the frame carries none.

    `channel`: `trades`, `books`, `quotes`, `snapshot` (REST), or the exchange's own name of any other.
    """

    kind: Literal["data", "control", "unknown"]
    symbol: str = ""
    channel: str = ""


CONTROL = Route("control")
LONGEST_NAME = 256  # bytes of a frame in which its channel's name must end: names are kept, and must be few and short
UNKNOWN_FRAME = Route("unknown")


class Control(NamedTuple):
    """A control frame, understood. `routes` empty: the whole request `id` is meant.

    An acknowledgement with a `reason` is a whole answer: what it does not name of its request is refused for that.
    `listing`: the answer to `listing_request`; `closing`: it will cut the connection; `notice`: it announces something
    else; `heard`: nothing to do but to send `answer` back, if there is one.
    """

    kind: Literal["acknowledged", "refused", "listing", "closing", "notice", "heard", "unknown"]
    id: str = ""
    routes: tuple[Route, ...] = ()
    reason: str = ""
    answer: str = ""


NOT_UNDERSTOOD = Control("unknown")


class Request(NamedTuple):
    """One message to the exchange and what it asks for; without `routes` no acknowledgement is awaited."""

    id: str
    text: str
    routes: tuple[Route, ...]


class Connector(ABC):
    """One feed of an exchange: addresses, names, messages, limits. Rates are (count, seconds).

    Without state, but for what it has reported as skipped.

    `depth`: levels a side that its books should have: a feed takes the least of its own that is enough, or its most.
    """

    name: ClassVar[str]
    ws: ClassVar[str]
    rest: ClassVar[str]
    paths: ClassVar[dict[str, tuple[str, ...]]]  # the channels that each WebSocket path serves: a socket for each
    snapshots: ClassVar[Literal["stream", "message", "rest"]]  # where a book's snapshot comes from
    compression: ClassVar[Literal["deflate"] | None] = None
    connects: ClassVar[tuple[float, float]]
    messages: ClassVar[tuple[float, float]]
    instruments_per_connection: ClassVar[int]
    weight_per_minute: ClassVar[int]
    lifetime: ClassVar[float] = float("inf")  # s after which a connection is renewed
    connection_timeout_s: ClassVar[float] = 30.0  # s without any frame until a connection is given up
    ping: ClassVar[str] = ""  # text sent when idle; empty where WebSocket pings do
    ping_after: ClassVar[float] = 20.0  # s
    news_path: ClassVar[str] = ""  # where the exchange announces changes of its instruments; empty: nowhere
    news_channels: ClassVar[frozenset[str]] = frozenset()  # the channels of such frames, as `route` names them
    name_field: ClassVar[str]  # of a listed entry, that holds the exchange's own name

    def __init__(self, channels: Iterable[str] = CHANNELS, depth: int = 400) -> None:
        self.channels = tuple(channels)
        self.depth = depth
        self.skips = Skips(self.name, self.feed.exchange)

    @property
    def feed(self) -> Feed:
        return FEEDS[self.name]

    def decode(self, frame: bytes) -> bytes:
        """The text of a frame as it came over the wire; what cannot be decoded as it came."""
        return frame

    @abstractmethod
    def subscribe(self, symbols: Iterable[str], channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        """The messages that subscribe these channels of these instruments (the exchange's names)."""

    @abstractmethod
    def unsubscribe(self, symbol: str, channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        """The messages that make the exchange forget these channels of one instrument; nobody waits for an answer."""

    def resubscribe(self, symbol: str, channel: str, ids: Iterator[int]) -> list[Request]:
        """The messages that make the exchange forget one channel of one instrument and take it up anew.

        For `books`, where `snapshots` is `stream`, this brings a fresh snapshot.
        """
        return [*self.unsubscribe(symbol, (channel,), ids), *self.subscribe([symbol], (channel,), ids)]

    def listing_request(self) -> str:
        """A message that asks what is subscribed; empty where acknowledgements say it."""
        return ""

    def news_requests(self, selection: Selection) -> list[str]:
        """The messages that subscribe to announcements of instruments. Only where there is a `news_path`."""
        return []

    @abstractmethod
    def route(self, frame: bytes) -> Route:
        """What a frame is. On the hot path: a slice and a look-up for the common forms."""

    def control(self, frame: bytes) -> Control:
        """Understand a frame that `route` calls control. Nothing is raised: what is odd about it is `unknown`."""
        try:
            body = orjson.loads(frame)
            if type(body) is not dict:
                return NOT_UNDERSTOOD
            found = self.understood(body)
        except orjson.JSONDecodeError:
            return Control("unknown", reason="no JSON")
        except Exception as error:  # noqa: BLE001 - whatever an exchange sends, the connection must not end by it
            return Control("unknown", reason=repr(error)[:_REASON])
        return found if len(found.reason) <= _REASON else found._replace(reason=found.reason[:_REASON])

    @abstractmethod
    def understood(self, body: dict[str, Any]) -> Control:
        """What a control frame's object means. May raise for an odd one."""

    async def instruments(self, rest: Rest, selection: Selection) -> Listing:
        """The definitions of what the exchange lists of a selection. `ExchangeError` where it gives none.

        An entry that cannot be used is skipped, and reported once.
        """
        try:
            parts = await self.entries(rest, selection)
        except ExchangeError:
            raise
        except Exception as error:
            raise ExchangeError(f"{self.name}: the listing cannot be understood: {error!r}"[:_REASON]) from error
        listing = Listing()
        for asked, entries in parts.items():
            listing.sizes[asked] += len(entries)
            for number, entry in enumerate(entries):
                self._take(listing, entry, selection)
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # frames are waiting
        return listing

    def _take(self, listing: Listing, entry: Any, selection: Selection) -> None:
        try:
            symbol = self.symbol_of(entry)
            if symbol not in selection:
                return
            if parse_symbol(symbol).kind not in self.feed.kinds:
                raise SymbolError(f"{symbol} is of a kind that this feed does not have")
            found = self.definition(symbol, entry)
            if symbol in listing and "closed" not in (listing[symbol].status, found.status):
                raise ValueError(f"{symbol} is listed as {listing[symbol].exchange_symbol} already")
            if symbol not in listing or found.status != "closed":
                listing[symbol] = found
        except Exception as error:  # noqa: BLE001 - one odd entry must not cost the others
            name = self._name_of(entry)
            listing.skipped.add(name)
            self.skips.report(name, f"{error} is missing" if isinstance(error, KeyError) else str(error) or repr(error))

    def _name_of(self, entry: Any) -> str:
        name = entry.get(self.name_field) if type(entry) is dict else None
        return name if type(name) is str and name else "an entry without a name"

    @abstractmethod
    async def entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        """All that the exchange lists, by what was asked for. May raise anything for an odd answer."""

    @abstractmethod
    def symbol_of(self, entry: Any) -> str:
        """The canonical symbol of a listed entry. May raise anything."""

    @abstractmethod
    def definition(self, symbol: str, entry: Any) -> Instrument:
        """A listed entry as an instrument. May raise anything; a contract size is never assumed."""

    @abstractmethod
    async def server_time(self, rest: Rest) -> int:
        """The exchange's clock, µs since the epoch. May raise anything for an odd answer."""

    def seed_levels(self) -> int:
        """The levels a side at which a fetched snapshot is cut off; 0 where snapshots come in the stream."""
        return 0

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        """The message that is answered with a book snapshot. Only where `snapshots` is `message`."""
        raise NotImplementedError

    async def snapshot(self, rest: Rest, symbol: str) -> bytes:
        """The REST depth snapshot's body, as it came. Only where `snapshots` is `rest`."""
        raise NotImplementedError
