"""Requests to ingest: the JSON records of the topic `control.ingest`."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from schemas.errors import ControlError

_Name = Annotated[str, Meta(max_length=100)]


class SnapshotRequest(Struct, tag_field="request", tag="snapshot", frozen=True, kw_only=True):
    """Fetch one instrument's book snapshot again.

    `timestamp`: µs of stream time, so that the requests of a replay look old.
    """

    exchange: str
    symbol: str
    reason: str = ""
    timestamp: int


class ReconnectRequest(Struct, tag_field="request", tag="reconnect", frozen=True):
    """Move all connections of these feeds to new sockets."""

    feeds: list[str]
    timestamp: int


class RefreshRequest(Struct, tag_field="request", tag="refresh", frozen=True):
    """Read the listings of these feeds' exchanges again."""

    feeds: list[str]
    timestamp: int


class MoveRequest(Struct, tag_field="request", tag="move", frozen=True, kw_only=True):
    """Move an instrument of a feed to the connections numbered `target`; 0: to the idlest that have a free place.

    Each ingest of the feed answers with `id` in `control.connections`.
    """

    id: _Name
    feed: _Name
    symbol: _Name
    target: int = 0
    timestamp: int


Request = SnapshotRequest | ReconnectRequest | RefreshRequest | MoveRequest

encode_request = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Request)


def decode_request(value: bytes) -> Request:
    """Decode a record of `control.ingest`. Raises `ControlError` if it is not a request."""
    try:
        request: Request = _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise ControlError(f"not a request to ingest: {error}") from None
    return request
