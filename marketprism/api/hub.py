"""Send channels to WebSocket clients: at most 20 frames a second, each encoded once for all who want the same.

A client that takes nothing for long is disconnected, with the reason.
"""

import asyncio
import time

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketState

from marketprism.api.channels import Channel, Piece
from marketprism.api.clients import Client, Group, frame_of, part
from marketprism.api.market import Market
from marketprism.api.patterns import Match, Matches
from schemas.logs import error_text

log = structlog.get_logger(__name__)

FRAME_S = 0.05
_SLOW_S = 30.0  # that a client may take for one frame
_MAX_CLIENTS = 500
_MAX_PATTERNS = 200  # of one client
_PAUSE = 9.0  # times what a request took, until the next of the same client is read

_TRY_AGAIN = 1013  # close code


class Hub:
    """All clients. `run` sends the frames; `serve` is the life of one client."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._groups: dict[frozenset[str], Group] = {}
        self._clients: dict[Client, asyncio.Task[None]] = {}
        self._matches = Matches(market.channels)
        self._postponed: set[Channel] = set()
        self._number = 0
        self.frames = self.dropped = 0
        market.channels.on_new, market.channels.on_gone = self._on_new, self._on_gone

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
        matches = self._matches.add(channel)
        for group in self._groups.values():
            if not matches.isdisjoint(group.matches):
                group.channels.add(channel)

    def _on_gone(self, channel: Channel) -> None:
        self._matches.remove(channel)
        self._postponed.discard(channel)
        for group in self._groups.values():
            group.channels.discard(channel)
            for client in group.clients:
                client.forget(channel)

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
        """Take a client's requests. They get a tenth of the time at most, so that others get their frames."""
        while (message := await socket.receive())["type"] == "websocket.receive":
            began = time.monotonic()
            try:
                await self._on_request(client, message.get("text"))
            except ValueError as error:
                client.note({"type": "error", "reason": str(error)})
            await asyncio.sleep(_PAUSE * (time.monotonic() - began))

    async def _on_request(self, client: Client, text: str | None) -> None:
        """Apply a request. Raise `ValueError` for an unusable one."""
        subscribe, unsubscribe = _request(text)
        patterns = frozenset((client.patterns | subscribe) - unsubscribe)
        if len(patterns) > _MAX_PATTERNS:
            raise ValueError(f"more than {_MAX_PATTERNS} patterns: use * for parts of them")
        matches = []
        for pattern in sorted(patterns):
            matches.append(self._matches.of(pattern))
            await asyncio.sleep(0)  # a pattern may be matched with thousands of names
        self._leave(client)
        client.patterns = patterns
        client.note({"type": "subscribed", "patterns": sorted(patterns)})
        client.subscribe(self._join(client, matches))

    def _join(self, client: Client, matches: list[Match]) -> Group:
        group = self._groups.get(client.patterns)
        if group is None:
            group = self._groups[client.patterns] = Group(matches)
        group.clients.add(client)
        return group

    def _leave(self, client: Client) -> None:
        group = client.group
        if group is not None:
            group.clients.discard(client)
            if not group.clients:
                self._groups.pop(client.patterns, None)


def _request(text: str | None) -> tuple[set[str], set[str]]:
    """Return the patterns to subscribe to, and those to give up."""
    if text is None:
        raise ValueError("send requests as text messages, not as binary ones")
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(request, dict) or not request or not set(request) <= {"subscribe", "unsubscribe"}:
        raise ValueError('send {"subscribe": ["quotes:BTC-USDT:*"]} or {"unsubscribe": […]}')
    return _patterns(request.get("subscribe", [])), _patterns(request.get("unsubscribe", []))


def _patterns(given: object) -> set[str]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError("patterns are a list of strings")
    return set(given)
