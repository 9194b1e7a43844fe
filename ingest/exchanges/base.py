"""What one feed's file has to say about its exchange; everything else is the same for all (`ingest/connection.py`)."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal, NamedTuple

from ingest.rest import Rest
from schemas.feeds import CHANNELS, FEEDS, Feed
from schemas.instruments import Instrument
from schemas.symbols import Selection


class Route(NamedTuple):
    """What a frame is. `symbol` is the exchange's own name, empty where the frame carries none.

    `channel`: `trades`, `books`, `quotes`, `snapshot` (REST), or the exchange's own name of any other.
    """

    kind: Literal["data", "control", "unknown"]
    symbol: str = ""
    channel: str = ""


CONTROL = Route("control")
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


class Request(NamedTuple):
    """One message to the exchange and what it asks for; without `routes` no acknowledgement is awaited."""

    id: str
    text: str
    routes: tuple[Route, ...]


class ExchangeFeed(ABC):
    """One feed of an exchange: addresses, names, messages, limits. Without state; rates are (count, seconds).

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
    silence: ClassVar[float] = 30.0  # s without any frame until a connection is given up
    ping: ClassVar[str] = ""  # text sent when idle; empty where WebSocket pings do
    ping_after: ClassVar[float] = 20.0  # s

    def __init__(self, channels: Iterable[str] = CHANNELS, depth: int = 400) -> None:
        self.channels = tuple(channels)
        self.depth = depth

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
    def resubscribe(self, symbol: str, channel: str, ids: Iterator[int]) -> list[Request]:
        """The messages that make the exchange forget one channel of one instrument and take it up anew.

        For `books`, where `snapshots` is `stream`, this brings a fresh snapshot.
        """

    def listing_request(self) -> str:
        """A message that asks what is subscribed; empty where acknowledgements say it."""
        return ""

    @abstractmethod
    def route(self, frame: bytes) -> Route:
        """What a frame is. On the hot path: a slice and a look-up for the common forms."""

    @abstractmethod
    def control(self, frame: bytes) -> Control:
        """Understand a frame that `route` calls control."""

    @abstractmethod
    async def instruments(self, rest: Rest, selection: Selection) -> dict[str, Instrument]:
        """The definitions of what the exchange lists of a selection. `ExchangeError` where it gives none."""

    @abstractmethod
    async def server_time(self, rest: Rest) -> int:
        """The exchange's clock, µs since the epoch."""

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        """The message that is answered with a book snapshot. Only where `snapshots` is `message`."""
        raise NotImplementedError

    async def snapshot(self, rest: Rest, symbol: str) -> bytes:
        """The REST depth snapshot's body, as it came. Only where `snapshots` is `rest`."""
        raise NotImplementedError
