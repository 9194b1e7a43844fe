"""Connector: everything that differs between feeds. The rest is common to all (`ingest/connection.py`)."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar, Literal, NamedTuple

import orjson

from ingest.exchanges.history import History
from ingest.exchanges.listing import Listing
from ingest.exchanges.polls import PollRow
from ingest.rest import Limit, Limits, Meaning, Rest
from ingest.skips import Skips
from ingest.supervision import describe_error
from ingest.uplinks import Where
from schemas.errors import ExchangeError, SettingsError, SymbolError
from schemas.events import DEFAULT_KINDS
from schemas.feeds import FEEDS, Feed
from schemas.instruments import Instrument
from schemas.json_object import json_object
from schemas.logs import error_text
from schemas.suggestions import unknown
from schemas.symbols import Kind, Selection, parse_symbol

_MAX_REASON = 300  # characters of an exchange's message, which is written once per instrument
_ENTRIES_PER_TURN = 200  # listed entries that are parsed before other tasks get a turn


class Route(NamedTuple):
    """Kind, subject and channel of a frame. `symbol`: the exchange's own name of the subject, empty if it has none.

    `channel`: ours (`schemas/channels.py`), or `snapshot` for a book fetched by REST. For any other, `channel` is empty
    and `name` is the exchange's own name of it.
    """

    kind: Literal["data", "control", "unknown"]
    symbol: str = ""
    channel: str = ""
    name: str = ""


def _itself(symbol: str) -> str:
    return symbol


class Variant(NamedTuple):
    """Another of the exchange's channels that delivers the same kind, as the setting `variants` may select.

    `whole_books`: each of its frames is a whole book, if only the best levels of it.
    """

    name: str
    path: str
    whole_books: bool = False


class ChannelRow(NamedTuple):
    """One of a feed's channels. `name`: the exchange's, as it is subscribed. `path`: the WebSocket path that serves it.

    `kinds`: the kinds of events that it carries; empty: the one of the channel's name. `of`: the kinds of instruments
    that have it; empty: all. `subject`: from an instrument's name to the name that the channel uses, where it is not
    about the instrument itself but about its index or family: several instruments share such a subscription.
    `in_rows`: a frame has rows of several instruments, and each gets a frame of its own rows (`Connector.split`).
    """

    name: str
    path: str
    kinds: tuple[str, ...] = ()
    of: tuple[Kind, ...] = ()
    subject: Callable[[str], str] = _itself
    in_rows: bool = False
    variants: tuple[Variant, ...] = ()


def data_route(symbol: str, name: str, channels: Mapping[str, str]) -> Route:
    """Return the route of a data frame. `channels`: our channels by the exchange's name."""
    channel = channels.get(name)
    return Route("data", symbol, channel) if channel else Route("data", symbol, "", name)


def in_parts(routes: Iterable[Route], most: int) -> Iterator[tuple[Route, ...]]:
    """Yield the routes in parts of at most the given number."""
    remaining = iter(routes)
    while part := tuple(islice(remaining, most)):
        yield part


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
    ws: ClassVar[tuple[str, ...]]  # hosts that serve all that is subscribed to, the main one first
    rest: ClassVar[tuple[str, ...]]  # hosts that answer all that is asked, the main one first
    channels: ClassVar[Mapping[str, ChannelRow]]  # by our name
    polls: ClassVar[Mapping[str, PollRow]] = {}  # by our name
    best_levels: ClassVar[PollRow]  # a book's best levels, polled while no socket brings it
    history: ClassVar[History] = {}  # what REST offers of the past, by kind
    without: ClassVar[Mapping[str, str]] = {}  # kinds that the feed does not carry, and why
    snapshots: Literal["stream", "message", "rest"]  # how a book's snapshot is obtained
    compression: ClassVar[Literal["deflate"] | None] = None
    connect_rate: ClassVar[tuple[float, float]]
    message_rate: ClassVar[tuple[float, float]]
    instruments_per_connection: ClassVar[int]
    subscriptions_per_connection: ClassVar[float] = float("inf")
    weight_per_minute: ClassVar[int] = 0  # of all REST requests; 0 if the exchange has no weights
    weight_pool: ClassVar[str] = ""  # feeds that name the same pool share its weight; empty: this feed alone
    rest_limits: ClassVar[Mapping[str, Limit]] = {}  # as documented, by the path's prefix, of which the longest counts
    rest_headers: ClassVar[Mapping[str, Meaning]] = {}  # of answers, that tell what is left
    lifetime_s: ClassVar[float] = float("inf")  # s after which a connection is renewed
    connection_timeout_s: ClassVar[float] = 30.0  # s without any frame after which a connection is closed
    ping: ClassVar[str] = ""  # text sent when idle; empty if WebSocket pings suffice
    ping_after_s: ClassVar[float] = 20.0  # s without any frame
    announcement_path: ClassVar[str] = ""  # path that announces changes of instruments; empty if none
    announcement_channels: ClassVar[frozenset[str]] = frozenset()  # the exchange's names of its channels
    name_field: ClassVar[str]  # field of a listed entry with the exchange's own name

    def __init__(
        self,
        kinds: Collection[str] = DEFAULT_KINDS,
        depth: int = 400,
        channels: Collection[str] = (),
        variants: Mapping[str, str] | None = None,
    ) -> None:
        """`kinds`: what to ingest. Only channels that carry some of it are subscribed to or polled.

        `channels`: those to ingest besides, by our names. `variants`: names of variants by channel. Raise
        `SettingsError` for a variant that the feed does not have.
        """
        self.depth = depth
        wanted = {*kinds, *channels}
        self._wanted = {name: row for name, row in self.channels.items() if not wanted.isdisjoint((name, *row.kinds))}
        self.polled = {name: row for name, row in self.polls.items() if not wanted.isdisjoint((name, *row.kinds))}
        for channel, name in (variants or {}).items():
            self._select(channel, name)
        self.skips = Skips(self.name, self.feed.exchange)

    def _select(self, channel: str, name: str) -> None:
        """Subscribe to a variant of a channel instead."""
        offered = self.channels[channel].variants if channel in self.channels else ()
        variant = next((each for each in offered if each.name == name), None)
        if variant is None:
            of = f"variant of {self.name}:{channel}"
            raise SettingsError(f"{unknown(of, name, [each.name for each in offered])} (setting `variants`)")
        if channel in self._wanted:
            self._wanted[channel] = self._wanted[channel]._replace(name=variant.name, path=variant.path)
        if variant.whole_books:
            self.snapshots = "stream"

    @property
    def feed(self) -> Feed:
        return FEEDS[self.name]

    @property
    def hosts(self) -> dict[Where, tuple[str, ...]]:
        """The exchange's hosts, of sockets and of REST."""
        return {"ws": self.ws, "rest": self.rest}

    @property
    def limits(self) -> Limits:
        """All limits of this feed's REST requests."""
        return Limits(self.weight_per_minute, self.weight_pool or self.name, self.rest_limits, self.rest_headers)

    def decode(self, frame: bytes) -> bytes:
        """Decompress a received frame; return it unchanged if that fails."""
        return frame

    # Channels

    def carries(self, name: str) -> bool:
        """Return whether the feed has a channel or a kind of that name."""
        rows: list[tuple[str, ChannelRow | PollRow]] = [*self.channels.items(), *self.polls.items()]
        return any(name in (own, *row.kinds) for own, row in rows)

    def serves(self, kind: Kind) -> bool:
        """Return whether any wanted channel or poll is about instruments of a kind."""
        rows: list[ChannelRow | PollRow] = [*self._wanted.values(), *self.polled.values()]
        return any(not row.of or kind in row.of for row in rows)

    @property
    def paths(self) -> tuple[str, ...]:
        """The WebSocket paths that serve the wanted channels: a socket for each."""
        return tuple(dict.fromkeys(row.path for row in self._wanted.values()))

    @property
    def group_size(self) -> int:
        """The instruments that a connection serves: the more channels are wanted of each, the fewer."""
        most = max(len(self.channels_on(path)) for path in self.paths) if self.paths else 1
        return max(1, int(min(self.instruments_per_connection, self.subscriptions_per_connection // most)))

    def variant_of(self, channel: str) -> str:
        """Return the selected variant of a channel, by the exchange's name; empty for the usual one."""
        usual, wanted = self.channels.get(channel), self._wanted.get(channel)
        return wanted.name if usual and wanted and wanted.name != usual.name else ""

    def channels_of(self, kind: Kind, path: str) -> list[str]:
        """Return the wanted channels that a path serves for instruments of a kind."""
        return [name for name, row in self._wanted.items() if row.path == path and (not row.of or kind in row.of)]

    def channels_on(self, path: str) -> list[str]:
        """Return the wanted channels that a path serves."""
        return [name for name, row in self._wanted.items() if row.path == path]

    def route_of(self, symbol: str, channel: str) -> Route:
        """Return the route of an instrument's channel. Instruments with the same subject share it."""
        return Route("data", self.channels[channel].subject(symbol), channel)

    def name_of(self, channel: str) -> str:
        """Return the exchange's name of a channel, or of its selected variant."""
        return self._wanted.get(channel, self.channels[channel]).name

    @abstractmethod
    def subscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        """Return the messages that subscribe to these routes."""

    @abstractmethod
    def unsubscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        """Return the messages that unsubscribe from these routes. No answer is awaited."""

    def resubscribe(self, route: Route, ids: Iterator[int]) -> list[Request]:
        """Return the messages that unsubscribe from a route and subscribe to it again.

        For `books`, this brings a fresh snapshot if `snapshots` is `stream`.
        """
        return [*self.unsubscribe([route], ids), *self.subscribe([route], ids)]

    def subscriptions_request(self) -> str:
        """Return a message that requests the list of our subscriptions; empty if acknowledgements are reliable."""
        return ""

    def announcement_requests(self, selection: Selection) -> list[str]:
        """Return the messages that subscribe to announcements. Only called if there is an `announcement_path`."""
        return []

    @abstractmethod
    def route(self, frame: bytes) -> Route:
        """Return a frame's route. On the hot path: the common forms cost a slice and a look-up."""

    def split(self, frame: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the exchange's name of each instrument in a frame of an `in_rows` channel, with a frame of its rows.

        Rows stay as received. Those that name no instrument come under an empty name. May raise anything for a
        malformed frame.
        """
        raise NotImplementedError

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
            return Control("unknown", reason=describe_error(error)[:_MAX_REASON])
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
            raise ExchangeError(
                f"{self.name}: cannot parse the listing: {describe_error(error)}"[:_MAX_REASON]
            ) from error
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
                listing.others.append(symbol)
                return
            if not self.feed.carries(parse_symbol(symbol)):
                raise SymbolError(f"{symbol} is of a kind that this feed does not serve")
            found = self.definition(symbol, entry)
            if symbol in listing and "closed" not in (listing[symbol].status, found.status):
                raise ValueError(f"{symbol} is already listed as {listing[symbol].exchange_symbol}")
            if symbol not in listing or found.status != "closed":
                listing[symbol] = found
        except Exception as error:  # noqa: BLE001 - one malformed entry must not cost the others
            name = self._name_of(entry)
            listing.skipped.add(name)
            self.skips.report(name, f"{error} is missing" if isinstance(error, KeyError) else error_text(error))

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

    def is_error(self, body: bytes) -> bool:
        """Return whether an answer with HTTP status 200 is an error all the same."""
        return json_object(body) is None

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        """Return the message that requests a book snapshot. Only called if `snapshots` is `message`."""
        raise NotImplementedError

    async def snapshot(self, rest: Rest, symbol: str) -> bytes:
        """Fetch a book snapshot by REST. Return the body unchanged. Only called if `snapshots` is `rest`."""
        raise NotImplementedError
