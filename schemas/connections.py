"""State of the feeds' connections: the records of the topic `control.connections`, by ingest and feed.

Each ingest writes one per feed every few seconds, and an empty one when it is stopped.
"""

from typing import Literal

import msgspec
from msgspec import Struct

ANSWER_WITHIN_S = 120.0
"""How long an answer to a move is waited for, and so reported: the feed may just be balanced."""

ConnectionState = Literal["connecting", "open", "renewing"]


class HostInUse(Struct, frozen=True, kw_only=True):
    """Host and proxy, without its password, that a feed uses `where`: `ws` or `rest`.

    `reason`: what is wrong with those before it. `since`: µs since the epoch; 0: not used yet.
    """

    where: str
    uplink: str
    reason: str
    since: int


class ConnectionReport(Struct, frozen=True, kw_only=True):
    """One connection. `number`: of the group of instruments that it serves, with one connection for each path.

    `opened_at`: µs since the epoch; 0 while it is not open. `frames`, `bytes`: received per second since the last
    report. `round_trip`: µs from the last WebSocket ping to its pong; None before the first. A connection that is being
    replaced or moved to is `renewing`.
    """

    number: int
    path: str
    uplink: str
    state: ConnectionState
    opened_at: int
    symbols: list[str]
    frames: float
    bytes: int
    round_trip: int | None


class MoveAnswer(Struct, frozen=True, kw_only=True):
    """Outcome of a request to move an instrument. `id`: of the request.

    `failure`: why it stays where it is; empty if it has moved, from the connections numbered `source` to those numbered
    `target`.
    """

    id: str
    failure: str = ""
    source: int = 0
    target: int = 0


class FeedReport(Struct, frozen=True, kw_only=True):
    """One feed of one ingest. `ingest`: its machine and process id.

    `capacity`: the most instruments of a connection. `answers`: to the last requests to move an instrument.
    """

    ingest: str
    feed: str
    capacity: int
    hosts: list[HostInUse]
    connections: list[ConnectionReport]
    answers: list[MoveAnswer]

    @property
    def key(self) -> str:
        """Key of its record."""
        return f"{self.ingest}:{self.feed}"


encode_report = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(FeedReport)


def decode_report(value: bytes) -> FeedReport | None:
    """Decode a record. Return None for one of another version."""
    try:
        report: FeedReport = _decoder.decode(value)
    except msgspec.MsgspecError:
        return None
    return report
