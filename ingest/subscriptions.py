"""Subscriptions of one connection: request them, track the answers, retry rejected ones, recover silent ones."""

import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

import structlog

from ingest.exchanges.base import Connector, Control, Request, Route
from ingest.handover import Handover
from ingest.outbox import Outbox
from ingest.pending_requests import PendingRequests
from ingest.raw_writer import RawWriter
from ingest.subscription import Subscription
from ingest.timings import Timings
from ingest.watchdog import Watchdog
from schemas.instruments import Instrument
from schemas.markers import Markers, Refused, Resumed, Silent, Subscribed

log = structlog.get_logger(__name__)

_MAX_RETRY = 300.0  # s between two attempts to subscribe to what is rejected
_SEED_AFTER = 2.0  # s after its acknowledgement that a book may stay without a frame until its snapshot is requested


class Subscriptions:
    """All subscriptions of one connection, `by_route`. Nothing here waits for the exchange's limits: `run` does.

    `send(text)` sends to the socket. `on_book_flowing(subscription)` is called when a book is acknowledged and its
    first frame has arrived, or is late: its snapshot can be requested. `handover`: from another connection, if any.
    """

    def __init__(
        self,
        connector: Connector,
        instruments: Mapping[str, Instrument],
        path: str,
        timings: Timings,
        writer: RawWriter,
        watchdog: Watchdog,
        handover: Handover | None,
        send: Callable[[str], Awaitable[None]],
        on_book_flowing: Callable[[Subscription], None],
    ) -> None:
        self.by_route: dict[Route, Subscription] = {}
        self._connector = connector
        self._instruments = instruments
        self._path = path
        self._first_retry_s = timings.first_rejection_retry_s
        self._writer = writer
        self._watchdog = watchdog
        self.handover = handover
        self._send = send
        self._on_book_flowing = on_book_flowing
        self._pending = PendingRequests()
        self._ids = itertools.count(1)
        self._outbox = Outbox(connector.message_rate, self._send_request)
        self._list_requested = False
        self._logged = False  # how many subscriptions the exchange has accepted
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange, path=path)

    async def run(self) -> None:
        """Send the queued requests until cancelled."""
        await self._outbox.run()

    # Requests

    def subscribe(self, symbols: Iterable[str] | None = None) -> None:
        """Subscribe to these instruments (the exchange's names), or to all."""
        wanted = self._instruments if symbols is None else symbols
        self._request([route for symbol in wanted for route in self._join(self._instruments[symbol])])

    def channels_of(self, instrument: Instrument) -> list[str]:
        """Return the channels of an instrument that this connection carries."""
        return self._connector.channels_of(instrument.kind, self._path)

    def _join(self, instrument: Instrument) -> Iterator[Route]:
        """Add an instrument to its subscriptions. Return those that are new and must be requested."""
        for channel in self.channels_of(instrument):
            route = self._connector.route_of(instrument.exchange_symbol, channel)
            subscription = self.by_route.get(route)
            if subscription is None:
                in_rows = self._connector.channels[channel].in_rows
                subscription = self.by_route[route] = Subscription(route, self._writer.write_frame, in_rows)
                if self.handover is not None:
                    self.handover.prepare(subscription)
                yield route
            elif subscription.acknowledged_at:
                self._writer.write_marker(time.time_ns(), instrument.key, Subscribed(channels=[channel]))
            subscription.add(instrument.exchange_symbol, instrument.key)

    def unsubscribe(self, symbol: str) -> None:
        """Unsubscribe from an instrument, and stop retrying its rejected channels."""
        subscribed = []
        for channel in self._connector.channels_on(self._path):
            route = self._connector.route_of(symbol, channel)
            if (subscription := self.by_route.get(route)) is None:
                continue
            subscription.remove(symbol)
            if subscription.keys:  # other instruments share it
                continue
            self._forget(route)
            if not subscription.rejected:
                subscribed.append(route)
        if subscribed:
            self._outbox.put(self._connector.unsubscribe(subscribed, self._ids))

    def _forget(self, route: Route) -> None:
        del self.by_route[route]
        self._pending.forget(route)
        self._outbox.forget(route)
        self._watchdog.forget(route)
        if self.handover is not None:
            self.handover.forget(route)

    def request_snapshot(self, symbol: str) -> None:
        """Have the exchange send a fresh book snapshot over this connection, as soon as its limits allow."""
        route = self._connector.route_of(symbol, "books")
        if route not in self.by_route:
            return
        if self._connector.snapshots == "message":
            self._outbox.put_repair(route, lambda: [self._connector.snapshot_request(symbol, self._ids)])
        else:
            self._resubscribe(route)

    def _resubscribe(self, route: Route) -> None:
        self._outbox.put_repair(route, lambda: self._connector.resubscribe(route, self._ids))

    def _request(self, routes: list[Route]) -> None:
        if routes:
            self._outbox.put(self._connector.subscribe(routes, self._ids))

    async def _send_request(self, request: Request) -> None:
        if request.routes:
            self._list_requested = False
        self._pending.add(request, time.monotonic())
        await self._send(request.text)

    # Answers

    def on_first_frame(self, subscription: Subscription) -> None:
        """Handle the first frame of a subscription."""
        if subscription.route.channel == "books" and subscription.acknowledged_at:
            self._seed(subscription)

    def on_acknowledged(self, control: Control) -> None:
        """Handle an acknowledgement, of a whole request or of single routes."""
        now, channels = time.time_ns(), dict[str, list[str]]()
        new = self._pending.acknowledge(control.id, control.routes)
        subscriptions = [self.by_route[route] for route in new if route in self.by_route]
        for subscription in subscriptions:
            subscription.acknowledged_at, subscription.seed_requested = now, False
            if not self._connector.subscriptions_request():  # else only the exchange's list shows what it accepted
                subscription.rejections = 0
            for key in subscription.keys:
                channels.setdefault(key, []).append(subscription.route.channel)
        if control.reason:
            self._pending.reject(control.id, control.reason, time.monotonic())
        for key, names in channels.items():
            self._writer.write_marker(now, key, Subscribed(channels=names))
        for subscription in subscriptions:
            if subscription.last_message_at and subscription.route.channel == "books":
                self._seed(subscription)

    def on_rejected(self, control: Control) -> None:
        """Handle an error, about a request or about anything else."""
        if not self._pending.reject(control.id, control.reason, time.monotonic()):
            self._log.warning("the exchange reports an error", reason=control.reason)

    def on_subscription_list(self, control: Control) -> None:
        """Compare the exchange's list of our subscriptions with what it has acknowledged."""
        reason = "acknowledged, but missing from the exchange's list of subscriptions"
        self._mark_rejected([(route, reason) for route in self._pending.pop_missing(control.routes)])
        for route in control.routes:
            if (subscription := self.by_route.get(route)) and subscription.acknowledged_at:
                subscription.rejections = 0

    def _seed(self, subscription: Subscription) -> None:
        if not subscription.seed_requested:
            subscription.seed_requested = True
            self._on_book_flowing(subscription)

    def _mark_rejected(self, rejected: list[tuple[Route, str]]) -> None:
        now = time.time_ns()
        for route, reason in rejected:
            subscription = self.by_route.get(route)
            if subscription is None:  # unsubscribed in the meantime
                continue
            wait = min(self._first_retry_s * 2**subscription.rejections, _MAX_RETRY)
            subscription.acknowledged_at = 0
            subscription.rejections += 1
            subscription.retry_at = now + int(wait * 1e9)
            self._mark(subscription, Refused(channels=[route.channel], reason=reason))
            about = {"symbol": route.symbol, "channel": route.channel, "reason": reason}
            self._log.error("subscription rejected", **about, retry_in_s=wait)

    def _mark(self, subscription: Subscription, marker: Markers) -> None:
        now = time.time_ns()
        for key in subscription.keys:
            self._writer.write_marker(now, key, marker)

    # Periodic work

    def take_frames(self) -> list[tuple[str, float]]:
        """Return how many frames came since the last call, by instrument. What several share is divided among them."""
        taken = []
        for subscription in self.by_route.values():
            frames, subscription.frames = subscription.frames, 0
            taken += [(symbol, frames / len(subscription.symbols)) for symbol in subscription.symbols]
        return taken

    def maintain(self) -> None:
        """Expire pending requests, retry rejected subscriptions, and seed books that receive no updates."""
        self._mark_rejected(self._pending.pop_rejected(time.monotonic()))
        self._request_list()
        self._log_subscribed()
        now = time.time_ns()
        for subscription in list(self.by_route.values()):
            route = subscription.route
            if subscription.retry_at and subscription.retry_at <= now:
                subscription.retry_at = 0
                self._request([route])
            elif route.channel == "books" and subscription.quiet_for(now) > _SEED_AFTER * 1e9:
                self._seed(subscription)

    def shift_times(self, step: int) -> None:
        """Shift all times by `step` ns, by which our clock was set, so that ages stay the same."""
        for subscription in self.by_route.values():
            for name in ("last_message_at", "acknowledged_at", "retry_at"):
                if at := getattr(subscription, name):
                    setattr(subscription, name, at + step)

    def recover_silent(self) -> str:
        """Take the watchdog's steps for silent subscriptions. Return why to renew the connection, if at all."""
        now, renewal = time.time_ns(), ""
        for subscription in list(self.by_route.values()):
            symbol, channel = subscription.route.symbol, subscription.route.channel
            if age := self._watchdog.resumed_after(subscription):
                self._mark(subscription, Resumed(channel=channel, age=age // 1000))
                self._log.info("receiving again", symbol=symbol, channel=channel, after_s=age // 10**9)
            recovery = self._watchdog.check(subscription, now)
            if recovery is None:
                continue
            age, step = recovery
            self._mark(subscription, Silent(channel=channel, age=age // 1000, step=step))
            about = {"symbol": symbol, "channel": channel, "for_s": age // 10**9, "step": step}
            self._log.warning("subscribed but silent", **about)
            if step == "resubscribe":
                self._resubscribe(subscription.route)
            else:
                renewal = f"{symbol} {channel} is silent"
        return renewal

    def all_flowing(self) -> bool:
        """Whether every accepted subscription flows, and none is still to be handed over."""
        now = time.time_ns()
        if self.handover is not None:
            return self.handover.advance(self.by_route, now)
        return bool(self.by_route) and all(subscription.flows(now) for subscription in self.by_route.values())

    def _log_subscribed(self) -> None:
        """Log once per connection, when everything is answered, how many subscriptions the exchange has accepted."""
        if self._logged or not all(each.acknowledged_at or each.rejected for each in self.by_route.values()):
            return
        self._logged = True
        rejected = sum(each.rejected for each in self.by_route.values())
        self._log.info("subscribed", subscriptions=len(self.by_route) - rejected, rejected=rejected)

    def _request_list(self) -> None:
        """Request the exchange's list of our subscriptions, once all requests are answered."""
        if self._list_requested or not self._pending.acknowledged or not self._pending.all_answered:
            return
        self._list_requested = True
        if text := self._connector.subscriptions_request():
            self._outbox.put([Request("", text, ())])
