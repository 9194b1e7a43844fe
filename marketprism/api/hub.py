"""Send channels to WebSocket clients: at most 20 frames a second, each encoded once for all who want the same.

A client that is slower than its channels gets the latest values only. Items, which nothing replaces, wait for it up to
a bound; what is dropped beyond it is counted. One that takes nothing for long is disconnected, with the reason.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from marketprism.api.channels import Channel, Channels, Pattern, Piece
from marketprism.api.market import Market, now_us
from schemas.logs import error_text

log = structlog.get_logger(__name__)

FRAME_S = 0.05
_HEARTBEAT_S = 5.0
_SLOW_S = 30.0  # that a client may take for one frame
_MAX_CLIENTS = 500
_MAX_PATTERNS = 200  # of one client
_MAX_ITEMS = 262_144  # bytes of one channel's items that wait for a slow client
_MAX_NOTES = 50  # answers that wait for a client that only asks
_MAX_TEXT = 200  # characters of a pattern

_TRY_AGAIN = 1013  # close code

Kind = Literal["snapshot", "change"]


class Group:
    """Clients with the same patterns, and the channels that match them."""

    def __init__(self, patterns: frozenset[str], channels: Channels) -> None:
        self.patterns = [Pattern.parse(text) for text in patterns]
        self.channels = set(channels.matching(self.patterns))
        self.clients: set[Client] = set()


class Client:
    """One connection. What is sent while it is busy waits in `_waiting`, by channel."""

    def __init__(self, socket: WebSocket) -> None:
        self.group: Group | None = None
        self.patterns: frozenset[str] = frozenset()
        self.sending_since = 0.0  # monotonic; 0: nothing is being sent
        self._socket = socket
        self._frame = ""
        self._notes: deque[str] = deque(maxlen=_MAX_NOTES)
        self._known: set[Channel] = set()  # of which it has had a snapshot
        self._waiting: dict[Channel, tuple[Kind, Piece]] = {}
        self._wake = asyncio.Event()

    def subscribe(self, group: Group) -> None:
        """Take the channels of a group. The next frame has a snapshot of those that are new to it."""
        self.group = group
        self._known &= group.channels
        self._waiting = {channel: waiting for channel, waiting in self._waiting.items() if channel in self._known}

    def note(self, body: dict[str, object]) -> None:
        """Send a message that is not about a channel."""
        self._notes.append(orjson.dumps(body).decode())
        self._wake.set()

    def offer(self, group: Group, frame: str, pieces: dict[Channel, Piece]) -> None:
        """Send a frame of the group; or later what it says, if the client is busy or lacks snapshots."""
        is_free = not (self.sending_since or self._frame or self._waiting or self._notes)
        if is_free and len(self._known) == len(group.channels):
            self._frame = frame
        else:
            self._keep(group, pieces)
        if self._frame or self._waiting:
            self._wake.set()

    def _keep(self, group: Group, pieces: dict[Channel, Piece]) -> None:
        for channel, piece in pieces.items():
            if channel in self._known:
                waiting = self._waiting.get(channel)
                self._waiting[channel] = (
                    (waiting[0], waiting[1].followed_by(piece, _MAX_ITEMS)) if waiting else ("change", piece)
                )
        for channel in sorted(group.channels - self._known, key=_name):
            self._known.add(channel)
            self._waiting[channel] = "snapshot", channel.snapshot()

    async def send_all(self) -> None:
        """Send until the connection ends."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_S):
                    await self._wake.wait()
            self._wake.clear()
            for text in self._take() or [orjson.dumps({"type": "heartbeat", "time": now_us()}).decode()]:
                self.sending_since = time.monotonic()
                await self._socket.send_text(text)
            self.sending_since = 0.0

    def _take(self) -> list[str]:
        texts = list(self._notes)
        self._notes.clear()
        if self._frame:
            texts.append(self._frame)
            self._frame = ""
        if self._waiting:
            texts.append(frame_of(part(channel, *waiting) for channel, waiting in self._waiting.items()))
            self._waiting = {}
        return texts

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, without waiting for a client that takes nothing."""
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(1):
                await self._socket.close(code, reason)


class Hub:
    """All clients. `run` sends the frames; `serve` is the life of one client."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._groups: dict[frozenset[str], Group] = {}
        self._clients: dict[Client, asyncio.Task[None]] = {}
        self._postponed: set[Channel] = set()
        self._number = 0
        self.frames = self.dropped = 0
        market.channels.on_new = self._on_new

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def run(self) -> None:
        """Send frames until cancelled."""
        next_at = time.monotonic()
        while True:
            next_at = max(next_at + FRAME_S, time.monotonic())
            await asyncio.sleep(next_at - time.monotonic())
            try:
                self._tick()
            except Exception as error:
                log.error("cannot send a frame", reason=error_text(error), exc_info=True)

    def _tick(self) -> None:
        self._number += 1
        if not self._number % round(1 / FRAME_S):
            self._market.on_second()
            self._drop_slow()
        changed = self._market.channels.changed | self._postponed
        self._market.channels.changed = set()
        self._postponed = {channel for channel in changed if self._number % channel.every}
        due = changed - self._postponed
        wanted = set().union(*(group.channels for group in self._groups.values())) & due
        for channel in due - wanted:
            channel.discard()
        pieces = {channel: channel.take() for channel in wanted}
        parts = {channel: part(channel, "change", piece) for channel, piece in pieces.items()}
        for group in self._groups.values():
            self._offer(group, pieces, parts)

    def _offer(self, group: Group, pieces: dict[Channel, Piece], parts: dict[Channel, bytes]) -> None:
        own = {channel: piece for channel, piece in pieces.items() if channel in group.channels}
        frame = frame_of(parts[channel] for channel in own) if own else ""
        self.frames += bool(own)
        for client in group.clients:
            client.offer(group, frame, own)

    def _drop_slow(self) -> None:
        now = time.monotonic()
        for client, task in self._clients.items():
            if client.sending_since and now - client.sending_since > _SLOW_S:
                self.dropped += 1
                client.sending_since = 0.0  # it is dropped once
                log.warning("client takes nothing, disconnected", seconds=_SLOW_S)
                task.cancel()

    def _on_new(self, channel: Channel) -> None:
        for group in self._groups.values():
            if any(pattern.matches(channel.name) for pattern in group.patterns):
                group.channels.add(channel)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until it disconnects, or is disconnected."""
        await socket.accept()
        client = Client(socket)
        if len(self._clients) >= _MAX_CLIENTS:
            await client.close(_TRY_AGAIN, f"{_MAX_CLIENTS} clients are connected: try again later")
            return
        task = asyncio.create_task(client.send_all(), name="send to client")
        self._clients[client] = task
        receiving = asyncio.create_task(self._receive(client, socket), name="receive from client")
        try:
            await asyncio.wait([task, receiving], return_when=asyncio.FIRST_COMPLETED)
            if task.cancelled() and socket.client_state is WebSocketState.CONNECTED:
                await client.close(_TRY_AGAIN, f"nothing was taken for {_SLOW_S:.0f} s")
        finally:
            for each in (task, receiving):
                each.cancel()
            await asyncio.gather(task, receiving, return_exceptions=True)
            del self._clients[client]
            self._leave(client)

    async def _receive(self, client: Client, socket: WebSocket) -> None:
        while (message := await socket.receive())["type"] == "websocket.receive":
            try:
                self._on_request(client, message.get("text") or "")
            except ValueError as error:
                client.note({"type": "error", "reason": str(error)})

    def _on_request(self, client: Client, text: str) -> None:
        """Apply a request. Raise `ValueError` for an unusable one."""
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(request, dict) or not request or not set(request) <= {"subscribe", "unsubscribe"}:
            raise ValueError('send {"subscribe": ["quotes:BTC-USDT:*"]} or {"unsubscribe": […]}')
        patterns = set(client.patterns) | _patterns(request.get("subscribe", []))
        patterns -= _patterns(request.get("unsubscribe", []))
        if len(patterns) > _MAX_PATTERNS:
            raise ValueError(f"more than {_MAX_PATTERNS} patterns: use * for parts of them")
        self._leave(client)
        client.patterns = frozenset(patterns)
        client.note({"type": "subscribed", "patterns": sorted(patterns)})
        client.subscribe(self._join(client))

    def _join(self, client: Client) -> Group:
        group = self._groups.get(client.patterns)
        if group is None:
            group = self._groups[client.patterns] = Group(client.patterns, self._market.channels)
        group.clients.add(client)
        return group

    def _leave(self, client: Client) -> None:
        group = client.group
        if group is not None:
            group.clients.discard(client)
            if not group.clients:
                self._groups.pop(client.patterns, None)


def _patterns(given: object) -> set[str]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError("patterns are a list of texts")
    for text in given:
        if len(text) > _MAX_TEXT or not Pattern.parse(text).is_valid:
            raise ValueError(f"{text[:_MAX_TEXT]!r} is not a pattern: kind:symbol:exchange, each part may be *")
    return set(given)


def part(channel: Channel, kind: Kind, piece: Piece) -> bytes:
    """Return what a frame says of one channel."""
    body = b"[%b]" % piece.body if piece.is_list else piece.body
    skipped = b',"skipped":%d' % piece.skipped if piece.skipped else b""
    return b'{"channel":%b,"type":"%b","sequence":%d%b,"data":%b}' % (
        orjson.dumps(channel.name), kind.encode(), piece.sequence, skipped, body,
    )  # fmt: skip


def frame_of(parts: Iterable[bytes]) -> str:
    """Return a frame of these parts."""
    return (b'{"type":"changes","time":%d,"changes":[%b]}' % (now_us(), b",".join(parts))).decode()


def _name(channel: Channel) -> str:
    return channel.name
