"""A client's connection to a simulated exchange, the streams it subscribes to, and the limits it must keep."""

import asyncio
import gzip
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from aiohttp import ClientError, WSMsgType, web

from marketprism.simulator.server.mutations import MessageKind

_MAX_OUTBOX = 20_000  # frames; a client further behind is disconnected
_POLL_INTERVAL = 0.05  # s between checks whether a client has hung up

_gzip = partial(gzip.compress, compresslevel=1, mtime=0)


@dataclass(frozen=True)
class Limits:
    """Limits and intervals of an exchange, in seconds unless their name says otherwise; None: its real value."""

    ping_interval: float | None = None
    pong_timeout: float | None = None
    idle_timeout: float | None = None
    keep_alive: float | None = None
    messages_per_second: int | None = None
    weight_per_minute: int | None = None


def now_ms() -> int:
    """Return the time in ms since the epoch."""
    return time.time_ns() // 1_000_000


class Connection:
    """One client's connection. Its outbox keeps a slow client from delaying others."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        gzipped: bool,
        outgoing: Callable[[MessageKind, bytes, Callable[[bytes], bytes] | None], list[bytes]],
    ) -> None:
        """`outgoing(kind, frame, compress)` returns the frames that are sent in place of one."""
        self.gzipped = gzipped  # text is sent as binary frames of one gzip member each
        self._outgoing = outgoing
        self.path = request.path
        self.query = request.query
        self.streams: dict[str, Stream | None] = {}  # by name; None: acknowledged, but without data
        self.combined = False
        self.muted = False
        self.id = secrets.token_hex(4)
        self.expected_pong: bytes | None = None
        self.received: deque[float] = deque()  # times of recent messages
        self.last_message_at = self.sent_at = self.answered_at = time.monotonic()
        self._request = request
        self._socket = socket
        self._outbox: deque[tuple[bytes, WSMsgType]] = deque()
        self._ready = asyncio.Event()

    def send(self, frame: bytes, opcode: WSMsgType = WSMsgType.TEXT, kind: MessageKind = "data") -> None:
        """Queue a frame; disconnect a client whose outbox is full."""
        if self.muted:
            return
        compress = None
        if self.gzipped and opcode is WSMsgType.TEXT:
            compress, opcode = _gzip, WSMsgType.BINARY
        self._outbox.extend((sent, opcode) for sent in self._outgoing(kind, frame, compress))
        self.sent_at = time.monotonic()
        self._ready.set()
        if len(self._outbox) > _MAX_OUTBOX:
            self.abort()

    def send_json(self, body: dict[str, Any], kind: MessageKind = "control") -> None:
        """Queue a JSON frame."""
        self.send(orjson.dumps(body), kind=kind)

    async def write(self) -> None:
        """Send the frames of the outbox until the connection is lost or the task cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._outbox:
                try:
                    await self._socket.send_frame(*self._outbox.popleft())
                except (ConnectionError, ClientError):
                    return

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection with a close frame, unless it is muted."""
        if self.muted:
            return
        try:
            await self._socket.close(code=code, message=reason.encode())
        except (ConnectionError, ClientError):
            self.abort()

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def mute(self) -> None:
        """Send nothing from now on, not even a close frame."""
        self.muted = True
        self._outbox.clear()

    async def wait_closed(self) -> None:
        """Wait until the client has hung up."""
        while self._request.transport is not None and not self._request.transport.is_closing():
            await asyncio.sleep(_POLL_INTERVAL)

    def exceeds_rate(self, limit: int) -> bool:
        """Count a received message and return whether there were more than `limit` within a second."""
        now = time.monotonic()
        self.received.append(now)
        while now - self.received[0] > 1.0:
            self.received.popleft()
        return len(self.received) > limit


@dataclass(eq=False)
class Stream:
    """One exchange channel of one instrument; all its subscribers are sent the same data.

    `channel` is `books` for chained book updates and `quotes` for full pushes of the best levels. `symbol`
    is empty if the stream belongs to no instrument; `sharing`: the symbols of further instruments that have the stream.
    """

    name: str
    symbol: str
    channel: str
    subscribers: set[Connection] = field(default_factory=set)
    sharing: set[str] = field(default_factory=set)

    def belongs_to(self, symbol: str) -> bool:
        """Return whether this is a stream of the instrument."""
        return symbol == self.symbol or symbol in self.sharing
