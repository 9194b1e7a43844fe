"""A client of a simulated exchange: its outbox, the streams it has, how patient the exchange is with it."""

import asyncio
import gzip
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import orjson
from aiohttp import ClientError, WSMsgType, web

from marketprism.simulator.server.mutations import What

_OUTBOX = 20_000  # frames that a client may be behind
_LEVEL = 1  # of compression
_LOOK = 0.05  # s between two looks whether a client has hung up

Channel = Literal["trades", "books", "quotes"]

_zip = partial(gzip.compress, compresslevel=_LEVEL, mtime=0)


@dataclass(frozen=True)
class Limits:
    """What an exchange lets happen; None: the exchange's own value. Seconds, except where said otherwise."""

    ping_interval: float | None = None
    pong_timeout: float | None = None
    idle_timeout: float | None = None
    keep_alive: float | None = None
    messages_per_second: int | None = None
    weight_per_minute: int | None = None


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Connection:
    """One client. Frames go through an outbox, so that a slow client delays nobody else."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        zipped: bool,
        outgoing: Callable[[What, bytes, Callable[[bytes], bytes] | None], list[bytes]],
    ) -> None:
        """`outgoing(what, frame, pack)`: what is sent in place of a frame."""
        self.zipped = zipped  # text goes out as binary frames of one gzip member each
        self._outgoing = outgoing
        self.path = request.path
        self.query = request.query
        self.streams: dict[str, Stream | None] = {}  # by name; None: acknowledged, but nothing will ever come
        self.combined = False
        self.muted = False
        self.id = secrets.token_hex(4)
        self.awaited_pong: bytes | None = None
        self.received: deque[float] = deque()
        self.last_message_at = self.sent_at = self.answered_at = time.monotonic()
        self._request = request
        self._socket = socket
        self._outbox: deque[tuple[bytes, WSMsgType]] = deque()
        self._ready = asyncio.Event()

    def send(self, frame: bytes, opcode: WSMsgType = WSMsgType.TEXT, what: What = "data") -> None:
        if self.muted:
            return
        pack = None
        if self.zipped and opcode is WSMsgType.TEXT:
            pack, opcode = _zip, WSMsgType.BINARY
        self._outbox.extend((sent, opcode) for sent in self._outgoing(what, frame, pack))
        self.sent_at = time.monotonic()
        self._ready.set()
        if len(self._outbox) > _OUTBOX:
            self.abort()

    def answer(self, body: dict[str, Any], what: What = "control") -> None:
        self.send(orjson.dumps(body), what=what)

    async def write(self) -> None:
        """Send what is in the outbox, for as long as the connection lives."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._outbox:
                try:
                    await self._socket.send_frame(*self._outbox.popleft())
                except (ConnectionError, ClientError):
                    return

    async def close(self, code: int, reason: str = "") -> None:
        if self.muted:
            return
        try:
            await self._socket.close(code=code, message=reason.encode())
        except (ConnectionError, ClientError):
            self.abort()

    def abort(self) -> None:
        """End it without a close frame."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def mute(self) -> None:
        """Send nothing any more, not even a close frame."""
        self.muted = True
        self._outbox.clear()

    async def gone(self) -> None:
        """Wait until the client has hung up."""
        while self._request.transport is not None and not self._request.transport.is_closing():
            await asyncio.sleep(_LOOK)

    def too_many(self, most: int) -> bool:
        """Count a message that came in; whether there were more than `most` within a second."""
        now = time.monotonic()
        self.received.append(now)
        while now - self.received[0] > 1.0:
            self.received.popleft()
        return len(self.received) > most


@dataclass(eq=False)
class Stream:
    """One channel of one instrument, sent alike to all that subscribed to it.

    `books` has the chain of updates; full pushes of the best levels are `quotes`.
    """

    name: str
    symbol: str
    channel: Channel
    subscribers: set[Connection] = field(default_factory=set)
