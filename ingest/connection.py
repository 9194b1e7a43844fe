"""One socket, from opening to close: stamp and pass on every frame, reply to the exchange, keep the socket alive."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from ingest.exchanges.base import LONGEST_NAME, UNKNOWN_FRAME, Connector, Control, Route
from ingest.handover import Handover
from ingest.keepalive import Keepalive
from ingest.raw_writer import RawWriter
from ingest.skips import Skips
from ingest.sockets import socket_to
from ingest.subscription import Subscription
from ingest.subscriptions import Subscriptions
from ingest.supervision import describe_error
from ingest.timings import Timings
from ingest.uplinks import Uplink, Uplinks
from ingest.watchdog import Watchdog
from schemas.connections import ConnectionState
from schemas.errors import SymbolError
from schemas.feeds import from_exchange
from schemas.instruments import Instrument
from schemas.keys import UNKNOWN, key_of
from schemas.markers import Connected, Definition, Markers, Notice, Renewing

log = structlog.get_logger(__name__)

MarkerOf = Callable[[list[str]], Markers]  # of an instrument's channels on this connection

_CHECK_EVERY = 0.25  # s between two rounds of periodic work
_CLOCK_STEP = 1_000_000_000  # ns by which our clock must jump to count as set


class Connection:
    """One socket of a supervisor. `run` lasts as long as the socket and returns why it closed.

    `instruments`, by the exchange's name, belong to the supervisor and may change at any time.
    `on_snapshot_needed(key)` is called when a book flows whose snapshot must be requested.
    `renewal` is set, to the reason, when the socket should be replaced. `flowing` is set when every subscription that
    the exchange accepts is flowing and, if there is a `predecessor`, has been handed over from it.
    `successor` is the connection that takes over from this one, if any.
    `wait`: seconds that the exchange asked us to wait when it rejected the handshake.
    `frames`, `bytes`: received so far; what the exchange itself compresses counts compressed. `opened_at`: µs since the
    epoch; 0 while it is not open.
    `uplink`: the one that it uses. `has_alternative`: it could not connect, and another uplink is to be tried at once.
    """

    def __init__(
        self,
        connector: Connector,
        uplinks: Uplinks,
        path: str,
        instruments: dict[str, Instrument],
        timings: Timings,
        writer: RawWriter,
        watchdog: Watchdog,
        on_snapshot_needed: Callable[[str], None],
        predecessor: "Connection | None" = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.instruments = instruments
        self.frames = self.bytes = 0
        self.opened_at = 0
        self.wait = 0.0
        self.uplink: Uplink | None = None
        self.has_alternative = False
        self.renewal: asyncio.Future[str] = loop.create_future()
        self.flowing: asyncio.Future[None] = loop.create_future()
        self.successor: Connection | None = None
        self._connector = connector
        self._uplinks = uplinks
        self._path = path
        self._writer = writer
        self._on_snapshot_needed = on_snapshot_needed
        self._predecessor = predecessor
        handover = self._handover_of(predecessor.subscriptions.by_route) if predecessor else None
        self.subscriptions: Subscriptions = Subscriptions(
            connector,
            self.instruments,
            path,
            timings,
            writer,
            watchdog,
            handover,
            self._send,
            self._on_book_flowing,
        )
        self._watchdog = watchdog
        self._removed: set[str] = (
            set()
        )  # the exchange's names of unsubscribed instruments: their last frames are dropped
        self._skips = Skips(connector.name, connector.feed.exchange)
        self._socket: ClientConnection | None = None
        self._reason = ""
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange, path=path)

    @property
    def open(self) -> bool:
        return self._socket is not None

    @property
    def state(self) -> ConnectionState:
        """Its state for the reports."""
        if not self.open:
            return "connecting"
        return "open" if self.is_steady else "renewing"

    @property
    def round_trip(self) -> int | None:
        """µs from the last WebSocket ping to its pong; None before the first."""
        return round(self._socket.latency * 1e6) or None if self._socket is not None else None

    @property
    def is_steady(self) -> bool:
        """Whether it is open, and is neither replacing nor being replaced."""
        return self.open and not self.renewal.done() and self.successor is None and not self._predecessor_is_open()

    async def run(self) -> str:
        """Connect, subscribe, and read until the socket closes. Return the reason."""
        uplink = self.uplink = self._uplinks.choose()
        try:
            async with socket_to(self._connector, uplink, self._path, self._uplinks.connect_timeout_s) as socket:
                self._uplinks.on_connected(uplink)
                return await self._serve(socket, uplink)
        except (OSError, WebSocketException) as error:
            return self._on_unreachable(uplink, error)
        except Exception as error:  # noqa: BLE001 - an error of one connection must not end the others
            self._log.exception("internal error in the connection")
            return f"internal error: {describe_error(error)[:300]}"

    def _on_unreachable(self, uplink: Uplink, error: Exception) -> str:
        failure = uplink.failure_of(error)
        self.has_alternative = not failure.is_limit and self._uplinks.on_failed(uplink, failure)
        self.wait = 0.0 if self.has_alternative else failure.wait
        return f"cannot connect to {uplink}: {failure.text}"

    async def close(self, reason: str) -> None:
        """Close the socket. `run` then returns this reason."""
        self._reason = self._reason or reason
        if self._socket is not None:
            await self._socket.close()

    def renew(self, reason: str) -> None:
        """Request a new socket to take over from this one."""
        if not self.renewal.done():
            self.renewal.set_result(reason)

    def request_snapshot(self, symbol: str) -> None:
        """Have the exchange send a fresh book snapshot of its instrument `symbol`."""
        if instrument := self.instruments.get(symbol):
            levels = self._connector.seed_levels()
            self._writer.write_marker(time.time_ns(), instrument.key, Definition(instrument, levels))
            self.subscriptions.request_snapshot(symbol)

    def add(self, symbols: Sequence[str]) -> None:
        """Subscribe to new `instruments`, whose definitions are in the raw topic already."""
        self._removed.difference_update(symbols)
        if not self.open:
            return  # once open, they are subscribed with all others
        if not self._predecessor_is_open():
            self.mark(symbols, lambda channels: Connected(channels=channels))
        self.subscriptions.subscribe(symbols)

    def take_over(self, symbols: Sequence[str], other: "Connection") -> None:
        """Subscribe to new `instruments` that another connection serves, and take them over from it.

        A subscription that others share there goes on there, too.
        """
        keys = {self.instruments[symbol].key for symbol in symbols}
        theirs = {route: each for route, each in other.subscriptions.by_route.items() if keys.issuperset(each.keys)}
        self.subscriptions.handover = self._handover_of(theirs)
        self._removed.difference_update(symbols)
        self.mark(symbols, lambda channels: Renewing(channels=channels))
        self.subscriptions.subscribe(symbols)

    def _handover_of(self, theirs: dict[Route, Subscription]) -> Handover:
        return Handover(theirs, self._connector.snapshots != "stream", self._writer.write_frame)

    def remove(self, symbol: str) -> None:
        """Unsubscribe from an instrument that was removed from `instruments`."""
        self._removed.add(symbol)
        self.subscriptions.unsubscribe(symbol)

    def finish_handover(self) -> None:
        """Take over what is left: the other connection has closed, or has given it up."""
        if self.subscriptions.handover is not None:
            self.subscriptions.handover.finish(self.subscriptions.by_route)

    def abort_handover(self) -> None:
        """Return everything to the other connection, which keeps it after all."""
        if self.subscriptions.handover is not None:
            self.subscriptions.handover.abort()

    def mark_all(self, marker_of: MarkerOf) -> None:
        """Write a marker for each instrument that has channels here."""
        self.mark(self.instruments, marker_of)

    def mark(self, symbols: Iterable[str], marker_of: MarkerOf) -> None:
        """Write a marker for each of these instruments that has channels here."""
        now = time.time_ns()
        for symbol in symbols:
            self._mark(now, self.instruments[symbol], marker_of)

    def _mark(self, now: int, instrument: Instrument, marker_of: MarkerOf) -> None:
        if channels := self.subscriptions.channels_of(instrument):
            self._writer.write_marker(now, instrument.key, marker_of(channels))

    async def _serve(self, socket: ClientConnection, uplink: Uplink) -> str:
        self._socket = socket
        self.opened_at = time.time_ns() // 1000
        self._mark_opened()
        self.subscriptions.subscribe()
        address = str(uplink._replace(host=uplink.host + self._path))
        self._log.info("connected", address=address, instruments=len(self.instruments))
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self.subscriptions.run()), tasks.create_task(self._maintain())]
                await self._read(socket)
                for helper in helpers:
                    helper.cancel()
        except asyncio.CancelledError:
            self._reason = self._reason or "shutdown"
            raise
        finally:
            self._socket = None
            self.opened_at = 0
            self._mark_closed(self._reason or "internal error")
        return self._reason

    def _mark_opened(self) -> None:
        now, opened = time.time_ns(), Renewing if self._predecessor_is_open() else Connected
        for instrument in self.instruments.values():
            self._writer.write_marker(now, instrument.key, Definition(instrument))
            self._mark(now, instrument, lambda channels: opened(channels=channels))

    def _mark_closed(self, reason: str) -> None:
        """Mark the channels that are no longer subscribed: none while the predecessor still serves them."""
        if self._predecessor_is_open():
            return
        now = time.time_ns()
        for symbol, instrument in self.instruments.items():
            channels = self.subscriptions.channels_of(instrument)
            if lost := [channel for channel in channels if self._loses(symbol, channel)]:
                self._writer.write_marker(now, instrument.key, self._writer.end_of(lost, reason))
                if self.successor is not None and self.successor.open:
                    self._writer.write_marker(now, instrument.key, Connected(channels=lost))

    def _predecessor_is_open(self) -> bool:
        return self._predecessor is not None and self._predecessor.open

    def _loses(self, symbol: str, channel: str) -> bool:
        """Whether this subscription ends with the connection.

        It does not if the successor has subscribed to it in time, or if it was never acknowledged here.
        """
        if self.successor is None or not self.successor.open:
            return True
        route = self._connector.route_of(symbol, channel)
        here, there = self.subscriptions.by_route.get(route), self.successor.subscriptions.by_route.get(route)
        continued = there is not None and there.acknowledged_at > 0
        return not continued and here is not None and here.acknowledged_at > 0

    # Reading

    async def _read(self, socket: ClientConnection) -> None:
        receive, decode, route_of, clock = socket.recv, self._connector.decode, self._connector.route, time.time_ns
        subscriptions = self.subscriptions.by_route
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
                        self.subscriptions.on_first_frame(subscription)
                    subscription.last_message_at = stamp
                elif route.kind == "control":
                    await self._on_control(frame)
                elif route.symbol not in self._removed:
                    self._writer.write_frame(stamp, self._key_of(route), frame)
        except ConnectionClosed as error:
            self._reason = self._reason or f"closed: {error}"

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
        if route.symbol in self.instruments:
            return self.instruments[route.symbol].key
        if not route.symbol or len(route.symbol) > LONGEST_NAME:
            return key_of(exchange, UNKNOWN)
        try:
            return key_of(exchange, from_exchange(self._connector.name, route.symbol))
        except SymbolError as error:
            self._connector.skips.report(route.symbol, f"in a frame: {error}")
            return key_of(exchange, UNKNOWN)

    def _on_book_flowing(self, subscription: Subscription) -> None:
        """Request the book's snapshot, unless the stream brings one or the book continues another connection's."""
        handover = self.subscriptions.handover
        if self._connector.snapshots != "stream" and not (handover and handover.covers(subscription.route)):
            for key in subscription.keys:
                self._on_snapshot_needed(key)

    async def _on_control(self, frame: bytes) -> None:
        """Reply to a control frame and handle it. Whatever it contains, it does not end the connection."""
        control = self._connector.parse_control(frame)
        if control.reply:
            await self._send(control.reply)
        try:
            self._handle_control(control, frame)
        except Exception:  # noqa: BLE001 - the next frame may be fine
            self._log.exception("internal error on a control frame", frame=frame[:300].decode(errors="replace"))

    def _handle_control(self, control: Control, frame: bytes) -> None:
        if control.kind == "acknowledged":
            self.subscriptions.on_acknowledged(control)
        elif control.kind == "rejected":
            self.subscriptions.on_rejected(control)
        elif control.kind == "subscriptions":
            self.subscriptions.on_subscription_list(control)
        elif control.kind in ("closing", "notice"):
            self._log.warning("notice from the exchange", kind=control.kind, reason=control.reason)
            self.mark_all(lambda channels: Notice(reason=control.reason))
            if control.kind == "closing":
                self.renew(control.reason)
        elif control.kind == "unknown":
            self._skips.report("unknown control frame", frame[:200].decode(errors="replace"))

    async def _send(self, text: str) -> None:
        if self._socket is not None:
            with suppress(ConnectionClosed):  # `_read` notices it too, and reports it
                await self._socket.send(text)

    # Periodic work

    async def _maintain(self) -> None:
        keepalive, offset = Keepalive(self._connector, self._send, self.renew), _clock_offset()
        while True:
            await asyncio.sleep(_CHECK_EVERY)
            if abs(step := _clock_offset() - offset) > _CLOCK_STEP:
                offset += step
                self.subscriptions.shift_times(step)
                if not self._predecessor_is_open():  # else that does it
                    self._watchdog.shift_times(step)
            if dead := await keepalive.check(self.frames):
                await self.close(dead)
                return
            self.subscriptions.maintain()
            if not self.flowing.done() and self.subscriptions.all_flowing():
                self.flowing.set_result(None)
            if self._predecessor_is_open():  # which does this
                continue
            if reason := self.subscriptions.recover_silent() or self._better_uplink():
                self.renew(reason)

    def _better_uplink(self) -> str:
        """Return the reason to move to a better uplink, which works again; empty if there is none."""
        if self.uplink is None or not self._uplinks.has_better(self.uplink):
            return ""
        return f"{self._uplinks.choose()} works again"


def _clock_offset() -> int:
    """Return by how many ns the time of day is ahead of the monotonic clock, which is never set."""
    return time.time_ns() - time.monotonic_ns()
