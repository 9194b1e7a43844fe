"""Markers: lines of a raw topic that are not frames, but shape the output as frames do.

A marker's text begins with `{"marketprism":"<type>"`. Each class below is one type; the text is its JSON, without the
fields that have their default.
"""

from typing import Annotated, Any, cast

import msgspec
import orjson
from msgspec import Meta, Raw, Struct, field
from pydantic import ValidationError

from schemas.errors import FrameError
from schemas.instruments import Instrument

MARKER = b'{"marketprism":"'

_Micros = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
_Text = Annotated[str, Meta(max_length=100_000)]


class Marker(Struct, tag_field="marketprism", omit_defaults=True, kw_only=True):
    """Base of all markers."""

    @property
    def type(self) -> str:
        """The type, as `market.status` reports it."""
        return str(self.__struct_config__.tag)


class Connection(Marker, kw_only=True):
    """Base of markers about a connection. `channels`: those that it serves; empty: all of the instrument."""

    channels: list[_Text] = field(default_factory=list)
    reason: _Text = ""


class Connected(Connection, tag="connected"):
    """A connection that serves the channels was opened."""


class Disconnected(Connection, tag="disconnected"):
    """A connection that served the channels was lost."""


class Stopped(Connection, tag="stopped"):
    """Ingest was stopped: nobody is meant to deliver the channels until it is started again."""


class Renewing(Connection, tag="renewing"):
    """The connection is being replaced by a new one, without a break."""


class Renewed(Connection, tag="renewed"):
    """The connection was replaced."""


class Subscribed(Connection, tag="subscribed"):
    """The exchange acknowledged the channels."""


class Refused(Connection, tag="refused"):
    """The exchange rejected the channels."""


class Silent(Marker, tag="silent"):
    """A channel has been silent for `age` µs; `step` is what is done: `resubscribe`, `reconnect`, or `retry` a poll."""

    channel: _Text
    age: _Micros
    step: _Text


class Resumed(Marker, tag="resumed"):
    """A channel delivers again, after `age` µs of silence."""

    channel: _Text
    age: _Micros


class Clock(Marker, tag="clock"):
    """The exchange's clock minus ours, and the duration of the REST request for it, µs."""

    offset: _Micros
    round_trip: _Micros


class RateLimited(Marker, tag="rate_limited"):
    """The exchange responded with `status` at `where`, and is sent no requests for `seconds`."""

    status: int
    seconds: float
    where: _Text


class RestDown(Marker, tag="rest_down"):
    """Requests to the exchange have failed repeatedly: until `rest_up`, only a probe is sent now and then."""

    reason: _Text = ""


class RestUp(Marker, tag="rest_up"):
    """The exchange answers requests again."""

    reason: _Text = ""


class RestFallback(Marker, tag="rest_fallback"):
    """The instrument's book cannot be had by socket, so its best levels are polled by REST. `reason`: why."""

    reason: _Text = ""


class RestFallbackEnded(Marker, tag="rest_fallback_ended"):
    """The best levels are not polled any more: the book's socket delivers again, or `reason` says what else."""

    reason: _Text = ""


class HostChanged(Marker, tag="host_changed"):
    """Another of the exchange's hosts, or another proxy, is used from now on, at `where`: `ws` or `rest`.

    `uplink`: the host's address, and the proxy without its password. `reason`: what is wrong with those before it.
    """

    where: _Text
    uplink: _Text
    reason: _Text = ""


class Notice(Marker, tag="notice"):
    """The exchange announces something."""

    reason: _Text = ""


class Listed(Marker, tag="listed"):
    """The instrument is new in the exchange's listing. Follows its first definition."""

    reason: _Text = ""


class Delisted(Marker, tag="delisted"):
    """The instrument is closed or gone, and unsubscribed: no more lines of it follow."""

    reason: _Text = ""


class Lost(Marker, tag="lost"):
    """Frames were dropped before the broker took them: a gap."""

    frames: int = 0
    reason: _Text = ""


class Tick(Marker, tag="tick"):
    """A second of stream time, in every partition under `<exchange>:*`.

    `feeds`: those that its writer ingests. None in a replay, whose ticks are for all feeds.
    """

    feeds: list[str] | None = None


class Wrapped(Marker, tag="frame"):
    """A frame that cannot be written as a line: it has newlines, or begins like a marker."""

    base64: str


class Oversized(Marker, tag="oversized"):
    """A frame larger than a record may be: its size, hash and first KiB."""

    bytes: int
    sha256: str
    base64: str


class Answer(Marker, tag="answer"):
    """The body of a poll's answer (`ingest/polls.py`). `path`: what was requested, with its query.

    `channel`: ours; `books` for the best levels of a book without a socket (`ingest/rest_fallback.py`). `due`: µs since
    the epoch at which the poll was due. `body`: the JSON, as text if it is not JSON.
    """

    channel: _Text
    path: _Text
    due: _Micros
    body: Raw


class History(Marker, tag="history", kw_only=True):
    """The body of an answer about the past (`marketprism backfill`), of which the worker publishes what is missing.

    `channel`, `path` and `body`: as of an `answer`. `instrument`: its definition. `begin`, `end`: exchange time from
    `begin` to before `end` that is to be filled, µs. `known`: rows in it that are stored already: the ids of trades,
    or else times, µs.
    """

    channel: _Text
    path: _Text
    begin: _Micros
    end: _Micros
    instrument: dict[str, Any]
    known: list[str] = field(default_factory=list)
    body: Raw


class Filled(Marker, tag="filled", kw_only=True):
    """The tables hold what a gap of trades lacked, as far as the exchange offers it (`marketprism gaps --fill`).

    `id`, `cause`, `since`, `first_missing`, `last_missing`: of the gap, as in its events.
    """

    id: _Text
    cause: _Text
    since: _Micros
    first_missing: _Text = ""
    last_missing: _Text = ""


class Definition(Struct, frozen=True):
    """An instrument's definition, before its first frame and at each connection.

    `seed_levels`: where a book snapshot fetched by REST follows, the levels of a side at which it is cut off; else 0.
    """

    instrument: Instrument
    seed_levels: int = 0


Markers = (
    Connected | Disconnected | Stopped | Renewing | Renewed | Subscribed | Refused | Silent | Resumed | Clock
    | RateLimited | RestDown | RestUp | RestFallback | RestFallbackEnded | HostChanged | Notice | Listed | Delisted
    | Lost | Tick | Wrapped | Oversized | Answer | History | Filled | Definition
)  # fmt: skip

_DEFINITION = "instrument"
_LONGEST_TEXT = 65_536  # bytes, of which each may take six as JSON
_encode = msgspec.json.Encoder().encode


class _Type(Struct):
    marketprism: str


class _SeedLevels(Struct):
    seed_levels: int = 0


_CLASSES = {kind.__struct_config__.tag: kind for kind in Marker.__subclasses__() + Connection.__subclasses__()}
_decoders = {tag: msgspec.json.Decoder(kind) for tag, kind in _CLASSES.items() if tag}
_decode_type = msgspec.json.Decoder(_Type).decode
_decode_seed_levels = msgspec.json.Decoder(_SeedLevels).decode


def answer_of(channel: str, path: str, due: int, body: bytes) -> Answer:
    """Return the marker of a poll's answer. Of what is not JSON, the beginning is kept."""
    return Answer(channel=channel, path=path, due=due, body=one_line(body))


def one_line(body: bytes) -> Raw:
    """Return a body as one line of JSON; of what is not JSON, the beginning as text."""
    try:
        orjson.loads(body)  # `format` overlooks bytes that are not UTF-8
        return Raw(msgspec.json.format(body, indent=-1))
    except (orjson.JSONDecodeError, RecursionError):
        return Raw(_encode(body[:_LONGEST_TEXT].decode(errors="replace")))


def encode_text(marker: Markers) -> bytes:
    """Return a marker's text."""
    if isinstance(marker, Definition):
        fields: dict[str, Any] = {"marketprism": _DEFINITION} | marker.instrument.model_dump()
        return orjson.dumps(fields | ({"seed_levels": marker.seed_levels} if marker.seed_levels else {}))
    return _encode(marker)


def decode_text(text: bytes) -> Markers:
    """Return the marker of a text. Raises `FrameError` if it is not one."""
    try:
        kind = _decode_type(text).marketprism
        if kind == _DEFINITION:
            return Definition(Instrument.model_validate_json(text), _decode_seed_levels(text).seed_levels)
        if kind in _decoders:
            return cast(Markers, _decoders[kind].decode(text))
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors() if fault["loc"])
        raise FrameError(f"malformed marker: {faults or error!s:.300}") from None
    except msgspec.MsgspecError as error:
        raise FrameError(f"malformed marker: {error!s:.300}") from None
    raise FrameError(f"unknown marker: {kind!r:.100}")
