"""What the connection manager needs to know of an exchange: everything in which exchanges differ."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from aiohttp import ClientSession

from schemas.instruments import Instrument

CHANNELS = ("trades", "books", "quotes")


class Subscription(NamedTuple):
    """One channel of one instrument, by the exchange's own name for it."""

    name: str
    channel: str
    instrument: Instrument


@dataclass(frozen=True)
class Limits:
    """Of one connection: subscriptions it may carry, messages it may send a second; weight of REST a minute."""

    subscriptions: int
    messages_per_second: float
    connects_per_minute: int
    rest_weight_per_minute: int


class Routed(NamedTuple):
    """Where a data frame belongs: the exchange's own instrument name and channel; empty where it cannot be told."""

    exchange_symbol: str
    channel: str


@dataclass(frozen=True)
class Control:
    """A frame that is for ingest: what it acknowledges or refuses, and whether the exchange is about to close."""

    acknowledged: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    reason: str = ""
    request: str = ""  # the id of the request that it answers, where names are not repeated
    closing: bool = False


class FeedProtocol(Protocol):
    """One feed. Names of streams are the exchange's own."""

    feed: str
    ws: str
    rest: str
    path: str
    limits: Limits
    ping: str  # the text to send when nothing came for `idle` seconds; empty where the exchange pings
    idle: float  # seconds
    seeds: bool  # whether books need a snapshot by REST

    def subscriptions(self, instrument: Instrument) -> list[Subscription]: ...

    def subscribe(self, names: list[str], request: str) -> str: ...

    def unsubscribe(self, names: list[str], request: str) -> str: ...

    def batches(self, names: list[str]) -> list[list[str]]:
        """The names in groups of one request each."""
        ...

    def audit(self, request: str) -> str:
        """A request whose answer lists the subscriptions; empty where acknowledgements already name them."""
        ...

    def route(self, frame: bytes) -> Routed | Control:
        """Tell data from control, and a data frame's instrument, without parsing it all."""
        ...

    async def instruments(self, http: ClientSession, rest: str) -> list[Instrument]: ...

    def snapshot_request(self, instrument: Instrument) -> tuple[str, dict[str, Any], int]:
        """Path, parameters and weight of the REST snapshot that seeds a book."""
        ...
