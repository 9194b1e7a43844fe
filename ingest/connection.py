"""One WebSocket connection of a feed: subscribe, read, stay alive, come back."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from itertools import count

import structlog
from aiolimiter import AsyncLimiter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from ingest.exchanges.protocol import Control, FeedProtocol, Routed, Subscription
from ingest.raw_writer import RawWriter
from schemas.instruments import Instrument
from schemas.raw import UNKNOWN

log = structlog.get_logger(__name__)

_LARGEST = 64 << 20  # bytes of a frame; whatever is larger than a record may be is described, not refused
_LIFETIME = 23.5 * 3600  # seconds; Binance cuts at 24 h
_LONGEST_BACKOFF = 30.0  # seconds


class Connection:
    """Carries some of a feed's subscriptions. `want_seed` is told of books that need a snapshot by REST."""

    def __init__(
        self,
        protocol: FeedProtocol,
        url: str,
        subscriptions: list[Subscription],
        writer: RawWriter,
        connects: AsyncLimiter,
        want_seed: Callable[[Instrument], None],
    ) -> None:
        self._protocol = protocol
        self._url = url
        self._writer = writer
        self._connects = connects
        self._want_seed = want_seed
        self._names = {subscription.name: subscription for subscription in subscriptions}
        self.instruments = {s.instrument.key: s.instrument for s in subscriptions}
        self._keys = {i.exchange_symbol: key for key, i in self.instruments.items()}
        self._messages = AsyncLimiter(1, 1 / protocol.limits.messages_per_second)
        self._requests: dict[str, list[str]] = {}
        self._ids = count(1)
        self._unacknowledged: set[str] = set()
        self._seedless: set[str] = set()
        self._heard = 0.0
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        """Connect and read, again and again, until cancelled."""
        for attempt in count():
            started = time.monotonic()
            reason = await self._once()
            failures = 0 if time.monotonic() - started > 60 else attempt + 1
            pause = random.uniform(0, min(_LONGEST_BACKOFF, 0.25 * 2 ** min(failures, 8)))
            log.warning("disconnected", feed=self._protocol.feed, reason=reason, again_in_s=round(pause, 2))
            await asyncio.sleep(pause)

    async def _once(self) -> str:
        await self._connects.acquire()
        reason = "stopped"
        connected = False
        try:
            async with connect(self._url, max_size=_LARGEST, ping_interval=None, open_timeout=15) as socket:
                connected = True
                self._socket = socket
                self._mark_connected()
                reason = await self._session(socket)
        except (OSError, TimeoutError, WebSocketException) as error:
            reason = _described(error)
        finally:
            self._socket = None
            if connected:
                for key in self.instruments:
                    self._writer.mark(key, "disconnected", reason=reason)
        return reason

    def _mark_connected(self) -> None:
        log.info("connected", feed=self._protocol.feed, instruments=len(self.instruments))
        for key, instrument in self.instruments.items():
            self._writer.mark(key, "instrument", **instrument.model_dump())
            self._writer.mark(key, "connected")
        self._seedless = set(self.instruments) if self._protocol.seeds else set()

    async def _session(self, socket: ClientConnection) -> str:
        """Read until the connection ends; returns why."""
        self._heard = time.monotonic()
        helpers = [asyncio.create_task(self._subscribe(socket)), asyncio.create_task(self._watch(socket))]
        try:
            while True:
                frame = await socket.recv(decode=False)
                stamp = time.time_ns()
                self._heard = time.monotonic()
                routed = self._protocol.route(frame)
                if type(routed) is Routed:
                    self._data(routed, frame, stamp)
                elif isinstance(routed, Control) and self._control(routed):
                    return f"announced by the exchange: {routed.reason}"
        except ConnectionClosed as error:
            return _described(error)
        finally:
            for helper in helpers:
                helper.cancel()

    def _data(self, routed: Routed, frame: bytes, stamp: int) -> None:
        key = self._keys.get(routed.exchange_symbol)
        if key is None:
            self._writer.put(f"{self._writer.exchange}:{UNKNOWN}", frame, stamp)
            return
        self._writer.put(key, frame, stamp)
        if routed.channel == "books" and key in self._seedless:
            # Only now: a snapshot from before the first update could not be joined to the stream.
            self._seedless.discard(key)
            self._want_seed(self.instruments[key])

    def _control(self, control: Control) -> bool:
        """Take a control frame; whether the connection should be given up."""
        names = list(control.acknowledged)
        asked = self._requests.pop(control.request, []) if control.request else []
        if asked and control.reason:
            self._refuse(asked, control.reason)
        elif asked and control.request == self._audit and not set(asked) <= set(names):
            self._refuse([name for name in asked if name not in names], "acknowledged, and not in the list")
        elif control.request != self._audit:
            names += asked
        self._acknowledge(names)
        return control.closing

    _audit = "0"

    def _acknowledge(self, names: list[str]) -> None:
        for name in names:
            if name in self._unacknowledged:
                self._unacknowledged.discard(name)
                subscription = self._names[name]
                self._writer.mark(subscription.instrument.key, "subscribed", channels=[subscription.channel])

    def _refuse(self, names: list[str], reason: str) -> None:
        for name in names:
            self._unacknowledged.discard(name)
            subscription = self._names[name]
            symbol, channel = subscription.instrument.symbol, subscription.channel
            log.error("subscription refused", feed=self._protocol.feed, symbol=symbol, channel=channel, reason=reason)
            self._writer.mark(subscription.instrument.key, "refused", channels=[channel], reason=reason)

    async def _subscribe(self, socket: ClientConnection) -> None:
        self._requests.clear()
        self._unacknowledged = set(self._names)
        for names in self._protocol.batches(list(self._names)):
            await self._request(socket, self._protocol.subscribe, names)
        if self._protocol.audit("1"):
            await self._messages.acquire()
            self._audit = str(next(self._ids))
            self._requests[self._audit] = list(self._names)
            await socket.send(self._protocol.audit(self._audit))
        await asyncio.sleep(15)
        if self._unacknowledged:
            missing = sorted(self._unacknowledged)
            log.error("subscriptions not acknowledged", feed=self._protocol.feed, names=missing)

    async def _request(self, socket: ClientConnection, make: Callable[[list[str], str], str], names: list[str]) -> None:
        await self._messages.acquire()
        request = str(next(self._ids))
        self._requests[request] = names
        await socket.send(make(names, request))

    async def _watch(self, socket: ClientConnection) -> None:
        """Keep the connection alive, and end it when it is silent or has lived long enough."""
        born, pinged = time.monotonic(), 0.0
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            silent = now - self._heard
            if now - born > _LIFETIME:
                await socket.close(reason="its lifetime is over")
            elif silent > self._protocol.idle + 10:
                await socket.close(reason="silent")
            elif self._protocol.ping and silent > self._protocol.idle and now - pinged > self._protocol.idle:
                pinged = now
                await socket.send(self._protocol.ping)

    async def resubscribe_books(self, key: str) -> None:
        """Ask for a book's snapshot anew where the exchange sends it on subscription."""
        names = [s.name for s in self._names.values() if s.instrument.key == key and s.channel == "books"]
        socket = self._socket
        if socket is None:
            return  # a new connection brings new snapshots
        with contextlib.suppress(ConnectionClosed):
            await self._request(socket, self._protocol.unsubscribe, names)
            self._unacknowledged.update(names)
            await self._request(socket, self._protocol.subscribe, names)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
