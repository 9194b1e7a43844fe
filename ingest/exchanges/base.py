"""What one feed's file has to say about its exchange; everything else is the same for all (`ingest/connection.py`)."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal, NamedTuple

from ingest.rest import Rest
from schemas.feeds import FEEDS, Feed
from schemas.instruments import Instrument

CHANNELS = ("trades", "books", "quotes")


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

    `listing`: the answer to `listing_request`; `closing`: it will cut the connection; `heard`: nothing to do.
    """

    kind: Literal["acknowledged", "refused", "listing", "closing", "heard", "unknown"]
    id: str = ""
    routes: tuple[Route, ...] = ()
    reason: str = ""


class Request(NamedTuple):
    """One message to the exchange and what it asks for."""

    id: str
    text: str
    routes: tuple[Route, ...]


class ExchangeFeed(ABC):
    """One feed of an exchange: addresses, names, messages, limits. Without state; rates are (count, seconds)."""

    name: ClassVar[str]
    ws: ClassVar[str]
    rest: ClassVar[str]
    path: ClassVar[str]
    compression: ClassVar[Literal["deflate"] | None] = None
    connects: ClassVar[tuple[float, float]]
    messages: ClassVar[tuple[float, float]]
    instruments_per_connection: ClassVar[int]
    weight_per_minute: ClassVar[int]
    lifetime: ClassVar[float] = float("inf")  # s after which a connection is renewed
    silence: ClassVar[float] = 30.0  # s without any frame until a connection is given up
    ping: ClassVar[str] = ""  # text sent when idle; empty where WebSocket pings do
    ping_after: ClassVar[float] = 20.0  # s
    snapshots_by_rest: ClassVar[bool] = False

    @property
    def feed(self) -> Feed:
        return FEEDS[self.name]

    @abstractmethod
    def subscribe(self, symbols: Iterable[str], ids: Iterator[int]) -> list[Request]:
        """The messages that subscribe all channels of these instruments (the exchange's names)."""

    @abstractmethod
    def resubscribe_books(self, symbol: str, ids: Iterator[int]) -> list[Request]:
        """The messages that make the exchange send a fresh book snapshot; none where REST gives it."""

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
    async def instruments(self, rest: Rest, symbols: Iterable[str]) -> dict[str, Instrument]:
        """The definitions of those canonical symbols that the exchange has. `ExchangeError` where it gives none."""

    async def snapshot(self, rest: Rest, symbol: str) -> bytes:
        """The REST depth snapshot's body, as it came. Only where `snapshots_by_rest`."""
        raise NotImplementedError
