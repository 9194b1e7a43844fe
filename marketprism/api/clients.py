"""One WebSocket client: what it is sent, and what waits for it while it is busy.

A client that is slower than its channels gets the latest values only. Items, which nothing replaces, wait for it up to
a bound; what is dropped beyond it is counted.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from marketprism.api.channels import Channel, Piece
from marketprism.api.patterns import Match
from marketprism.api.spans import now_us

_HEARTBEAT_S = 5.0
_MAX_ITEMS = 262_144  # bytes of one channel's items that wait for a slow client
_MAX_NOTES = 50  # answers that wait for a client that only asks

Kind = Literal["snapshot", "change"]


class Group:
    """Clients with the same patterns, and the channels that match them."""

    def __init__(self, matches: Iterable[Match]) -> None:
        self.matches = list(matches)
        self.channels: set[Channel] = set().union(*(match.channels for match in self.matches))
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

    def forget(self, channel: Channel) -> None:
        """Drop what waits of a channel that is gone."""
        self._known.discard(channel)
        self._waiting.pop(channel, None)

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
