"""Read one socket: stamp every frame, and pass it on to those whose it is."""

import time
from collections.abc import Awaitable, Callable, Mapping

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ingest.exchanges.base import LONGEST_NAME, UNKNOWN_FRAME, Connector, Route
from ingest.raw_writer import RawWriter
from ingest.skips import Skips
from ingest.subscription import Subscription
from ingest.subscriptions import Subscriptions
from ingest.supervision import describe_error
from schemas.errors import SymbolError
from schemas.feeds import from_exchange
from schemas.instruments import Instrument
from schemas.keys import UNKNOWN, key_of


class FrameReader:
    """Reader of one connection. `on_control(frame)` handles a control frame.

    `frames`, `bytes`: read so far; what the exchange itself compresses counts compressed. `removed`: the exchange's
    names of unsubscribed instruments, whose last frames are dropped.
    """

    def __init__(
        self,
        connector: Connector,
        instruments: Mapping[str, Instrument],
        subscriptions: Subscriptions,
        writer: RawWriter,
        on_control: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self.frames = self.bytes = 0
        self.removed: set[str] = set()
        self._connector = connector
        self._instruments = instruments
        self._subscriptions = subscriptions
        self._writer = writer
        self._on_control = on_control
        self._skips = Skips(connector.name, connector.feed.exchange)

    async def run(self, socket: ClientConnection) -> str:
        """Read until the socket closes. Return the reason."""
        receive, decode, route_of, clock = socket.recv, self._connector.decode, self._connector.route, time.time_ns
        subscriptions = self._subscriptions.by_route
        try:
            while True:
                # Bytes, not text: a text frame that is not UTF-8 is passed on too; the workers find it malformed.
                received = await receive(decode=False)
                stamp = clock()
                self.frames += 1
                self.bytes += len(received)
                try:
                    frame = decode(received)
                    route = route_of(frame)
                except Exception as error:  # noqa: BLE001 - no frame may end the connection
                    self._skips.report("a frame that cannot be routed", describe_error(error))
                    frame, route = received, UNKNOWN_FRAME
                subscription = subscriptions.get(route)
                if subscription is not None:
                    subscription.frames += 1
                    if subscription.in_rows:
                        self._write_rows(subscription, stamp, frame)
                    else:
                        for key in subscription.keys:
                            subscription.write(stamp, key, frame)
                    if not subscription.last_message_at:
                        self._subscriptions.on_first_frame(subscription)
                    subscription.last_message_at = stamp
                elif route.kind == "control":
                    await self._on_control(frame)
                elif route.symbol not in self.removed:
                    self._writer.write_frame(stamp, self._key_of(route), frame)
        except ConnectionClosed as error:
            return f"closed: {error}"

    def _write_rows(self, subscription: Subscription, stamp: int, frame: bytes) -> None:
        """Write a frame of many instruments: for each of ours its own rows. What is malformed becomes a dead letter."""
        try:
            parts = list(self._connector.split(frame))
        except Exception as error:  # noqa: BLE001 - no frame may end the connection
            self._skips.report("a frame that cannot be split", describe_error(error))
            parts = [("", frame)]
        for symbol, part in parts:
            key = subscription.key_of(symbol) if symbol else key_of(self._connector.feed.exchange, UNKNOWN)
            if key:
                subscription.write(stamp, key, part)

    def _key_of(self, route: Route) -> str:
        """Return the key of a frame without a subscription: `exchange:?` if its instrument is unknown."""
        exchange = self._connector.feed.exchange
        if route.symbol in self._instruments:
            return self._instruments[route.symbol].key
        if not route.symbol or len(route.symbol) > LONGEST_NAME:
            return key_of(exchange, UNKNOWN)
        try:
            return key_of(exchange, from_exchange(self._connector.name, route.symbol))
        except SymbolError as error:
            self._connector.skips.report(route.symbol, f"in a frame: {error}")
            return key_of(exchange, UNKNOWN)
