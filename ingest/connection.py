"""One socket, from opening to close: subscribe, read, keep it alive, and mark what it begins and ends to deliver."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from ingest.control_frames import ControlFrames
from ingest.exchanges.base import Connector, Control, Route
from ingest.frame_reader import FrameReader
from ingest.handover import Handover
from ingest.keepalive import Keepalive
from ingest.raw_writer import RawWriter
from ingest.sockets import socket_to
from ingest.subscription import Subscription
from ingest.subscriptions import Subscriptions
from ingest.supervision import describe_error
from ingest.timings import Timings
from ingest.uplinks import Uplink, Uplinks
from ingest.watchdog import Watchdog
from schemas.connections import ConnectionState
from schemas.instruments import Instrument
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
    `opened_at`: µs since the epoch; 0 while it is not open. `reader` counts what it has received.
    `uplink`: the one that it uses. `has_alternative`: another one is to be tried at once, as it could not connect, or
    received nothing.
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
        self._socket: ClientConnection | None = None
        self._reason = ""
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange, path=path)
        control = ControlFrames(connector, self.subscriptions, self._send, self._on_notice, self._log)
        self.reader = FrameReader(connector, instruments, self.subscriptions, writer, control.handle)

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
                reason = await self._serve(socket, uplink)
            self.has_alternative = not self.reader.frames and self._uplinks.on_mute(uplink)
            return reason
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
        self.reader.removed.difference_update(symbols)
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
        self.reader.removed.difference_update(symbols)
        self.mark(symbols, lambda channels: Renewing(channels=channels))
        self.subscriptions.subscribe(symbols)

    def _handover_of(self, theirs: dict[Route, Subscription]) -> Handover:
        return Handover(theirs, self._connector.snapshots != "stream", self._writer.write_frame)

    def remove(self, symbol: str) -> None:
        """Unsubscribe from an instrument that was removed from `instruments`."""
        self.reader.removed.add(symbol)
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
                closed = await self.reader.run(socket)
                self._reason = self._reason or closed
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

    # What comes from the exchange

    def _on_book_flowing(self, subscription: Subscription) -> None:
        """Request the book's snapshot, unless the stream brings one or the book continues another connection's."""
        handover = self.subscriptions.handover
        if self._connector.snapshots != "stream" and not (handover and handover.covers(subscription.route)):
            for key in subscription.keys:
                self._on_snapshot_needed(key)

    def _on_notice(self, control: Control) -> None:
        self._log.warning("notice from the exchange", kind=control.kind, reason=control.reason)
        self.mark_all(lambda channels: Notice(reason=control.reason))
        if control.kind == "closing":
            self.renew(control.reason)

    async def _send(self, text: str) -> None:
        if self._socket is not None:
            with suppress(ConnectionClosed):  # the reader notices it too, and reports it
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
            if dead := await keepalive.check(self.reader.frames):
                await self.close(dead)
                return
            if self.reader.frames and self.uplink is not None:
                self._uplinks.on_received(self.uplink)
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
