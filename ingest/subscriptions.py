"""The streams of one connection: asked for, acknowledged or refused, asked for again, mended when silent."""

import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog

from ingest.exchanges.base import Connector, Control, Request, Route
from ingest.handover import Handover
from ingest.outbox import Outbox
from ingest.pending_requests import PendingRequests
from ingest.raw_writer import RawWriter
from ingest.subscription import Subscription
from ingest.watchdog import Watchdog
from schemas.instruments import Instrument
from schemas.markers import Refused, Resumed, Silent, Subscribed

log = structlog.get_logger(__name__)

_RETRY = 5.0  # s before what was refused is asked for again; doubles
_MOST_RETRY = 300.0
_SEED_AFTER = 2.0  # s after its acknowledgement that a book's first frame may take until its snapshot is fetched anyway


class Subscriptions:
    """`streams` by route. `send(text)` goes to the socket; `on_books(stream)`: an acknowledged book needs a snapshot.

    Nothing here waits for the exchange's limits: what is to be said goes into the outbox, which `run` empties.
    """

    def __init__(
        self,
        exchange: Connector,
        instruments: Mapping[str, Instrument],
        channels: Iterable[str],
        writer: RawWriter,
        watch: Watchdog,
        handover: Handover | None,
        send: Callable[[str], Awaitable[None]],
        on_books: Callable[[Subscription], None],
    ) -> None:
        self.streams: dict[Route, Subscription] = {}
        self._exchange = exchange
        self._instruments = instruments
        self._channels = tuple(channels)
        self._writer = writer
        self._watch = watch
        self._handover = handover
        self._send = send
        self._on_books = on_books
        self._acknowledgements = PendingRequests()
        self._ids = itertools.count(1)
        self._outbox = Outbox(exchange.messages, self._say)
        self._listed = False
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange)

    async def run(self) -> None:
        """Send what is to be said. Never returns by itself."""
        await self._outbox.run()

    # Asking

    def subscribe(self, symbols: Iterable[str] | None = None) -> None:
        """All instruments, or these (the exchange's names)."""
        wanted = self._instruments if symbols is None else symbols
        self._ask(self._exchange.subscribe(wanted, self._channels, self._ids))

    def forget(self, symbol: str) -> None:
        """An instrument is gone: unsubscribe it, and ask for it no more."""
        taken = []
        for channel in self._channels:
            route = Route("data", symbol, channel)
            stream = self.streams.pop(route, None)
            self._acknowledgements.forget(route)
            self._outbox.forget(route)
            if self._handover is not None:
                self._handover.forget(route)
            if stream is not None and not stream.refused:
                taken.append(channel)
        if taken:
            self._outbox.put(self._exchange.unsubscribe(symbol, taken, self._ids))

    def request_snapshot(self, symbol: str) -> None:
        """Have the exchange send a fresh book snapshot over this connection, as soon as its limits allow."""
        route = Route("data", symbol, "books")
        if route not in self.streams:
            return
        if self._exchange.snapshots == "message":
            self._outbox.repair(route, lambda: [self._exchange.snapshot_request(symbol, self._ids)])
        else:
            self._resubscribe(route)

    def _resubscribe(self, route: Route) -> None:
        self._outbox.repair(route, lambda: self._exchange.resubscribe(route.symbol, route.channel, self._ids))

    def _ask(self, requests: list[Request]) -> None:
        for request in requests:
            for route in request.routes:
                if route not in self.streams:
                    self._add(route)
        self._outbox.put(requests)

    def _add(self, route: Route) -> None:
        stream = Subscription(self._instruments[route.symbol].key, route, self._writer.frame)
        self.streams[route] = stream
        if self._handover is not None:
            self._handover.prepare(stream)

    async def _say(self, request: Request) -> None:
        if request.routes:
            self._listed = False
        self._acknowledgements.ask(request, time.monotonic())
        await self._send(request.text)

    # Answers

    def first_frame(self, stream: Subscription) -> None:
        if stream.route.channel == "books" and stream.acknowledged_at:
            self._seed(stream)

    def acknowledged(self, control: Control) -> None:
        now, channels = time.time_ns(), dict[str, list[str]]()
        new = self._acknowledgements.acknowledge(control.id, control.routes)
        streams = [self.streams[route] for route in new if route in self.streams]
        for stream in streams:
            stream.acknowledged_at, stream.seeded = now, False
            if not self._exchange.listing_request():  # else only the list shows what was taken
                stream.refusals = 0
            channels.setdefault(stream.key, []).append(stream.route.channel)
        if control.reason:
            self._acknowledgements.refuse(control.id, control.reason, time.monotonic())
        for key, names in channels.items():
            self._writer.marker(now, key, Subscribed(channels=names))
        for stream in streams:
            if stream.last_message_at and stream.route.channel == "books":
                self._seed(stream)

    def refused(self, control: Control) -> None:
        if not self._acknowledgements.refuse(control.id, control.reason, time.monotonic()):
            self._log.warning("the exchange reports an error", reason=control.reason)

    def listed(self, control: Control) -> None:
        reason = "acknowledged, but not among the subscriptions that the exchange lists"
        self._mark_refused([(route, reason) for route in self._acknowledgements.missing(control.routes)])
        for route in control.routes:
            if (stream := self.streams.get(route)) and stream.acknowledged_at:
                stream.refusals = 0

    def _seed(self, stream: Subscription) -> None:
        if not stream.seeded:
            stream.seeded = True
            self._on_books(stream)

    def _mark_refused(self, refused: list[tuple[Route, str]]) -> None:
        now = time.time_ns()
        for route, reason in refused:
            stream = self.streams.get(route)
            if stream is None:  # forgotten meanwhile
                continue
            wait = min(_RETRY * 2**stream.refusals, _MOST_RETRY)
            stream.acknowledged_at = 0
            stream.refusals += 1
            stream.retry_at = now + int(wait * 1e9)
            self._writer.marker(now, stream.key, Refused(channels=[route.channel], reason=reason))
            about = {"symbol": route.symbol, "channel": route.channel, "reason": reason}
            self._log.error("subscription refused", **about, again_in_s=wait)

    # Looking after

    def look_after(self) -> None:
        """What time brings: refusals, retries, books that have nothing to say."""
        self._mark_refused(self._acknowledgements.overdue(time.monotonic()))
        self._ask_for_list()
        now = time.time_ns()
        for stream in list(self.streams.values()):
            if stream.retry_at and stream.retry_at <= now:
                stream.retry_at = 0
                self._ask(self._exchange.subscribe([stream.route.symbol], [stream.route.channel], self._ids))
            elif stream.route.channel == "books" and stream.quiet_for(now) > _SEED_AFTER * 1e9:
                self._seed(stream)

    def shift(self, step: int) -> None:
        """Our clock was set, by so many ns: ages stay what they are."""
        for stream in self.streams.values():
            for name in ("last_message_at", "acknowledged_at", "retry_at"):
                if at := getattr(stream, name):
                    setattr(stream, name, at + step)

    def mend(self) -> str:
        """Do what is due about silent streams; a reason if the connection should be changed for another."""
        now, change = time.time_ns(), ""
        for stream in list(self.streams.values()):
            symbol, channel = stream.route.symbol, stream.route.channel
            if age := self._watch.resumed(stream):
                self._writer.marker(now, stream.key, Resumed(channel=channel, age=age // 1000))
                self._log.info("sends again", symbol=symbol, channel=channel, after_s=age // 10**9)
            silent = self._watch.look(stream, now)
            if silent is None:
                continue
            age, step = silent.age, silent.step
            self._writer.marker(now, stream.key, Silent(channel=channel, age=age // 1000, step=step))
            about = {"symbol": symbol, "channel": channel, "for_s": age // 10**9, "step": step}
            self._log.warning("subscribed but silent", **about)
            if step == "resubscribe":
                self._resubscribe(stream.route)
            else:
                change = f"{symbol} {channel} is silent"
        return change

    def flow(self) -> bool:
        """Whether every stream that can be had flows, and none waits to be handed over."""
        now = time.time_ns()
        if self._handover is not None:
            return self._handover.complete(self.streams, now)
        return bool(self.streams) and all(stream.flows(now) for stream in self.streams.values())

    def _ask_for_list(self) -> None:
        """Once all is acknowledged: have the exchange list what it took."""
        if self._listed or not self._acknowledgements.acknowledged or not self._acknowledgements.settled:
            return
        self._listed = True
        if text := self._exchange.listing_request():
            self._outbox.put([Request("", text, ())])
