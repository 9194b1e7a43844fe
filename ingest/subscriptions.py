"""The streams of one connection: asked for, acknowledged or refused, asked for again, mended when silent."""

import itertools
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog
from aiolimiter import AsyncLimiter

from ingest.acknowledgements import Acknowledgements
from ingest.exchanges.base import Control, ExchangeFeed, Request, Route
from ingest.handover import Handover
from ingest.raw_writer import RawWriter
from ingest.stream import Stream
from ingest.watch import Watch
from schemas.instruments import Instrument

log = structlog.get_logger(__name__)

_RETRY = 5.0  # s before what was refused is asked for again; doubles
_MOST_RETRY = 300.0


class Subscriptions:
    """`streams` by route. `send(text)` goes to the socket; `on_books(stream)`: an acknowledged book sends."""

    def __init__(
        self,
        exchange: ExchangeFeed,
        instruments: dict[str, Instrument],
        channels: Iterable[str],
        writer: RawWriter,
        watch: Watch,
        handover: Handover | None,
        send: Callable[[str], Awaitable[None]],
        on_books: Callable[[Stream], None],
    ) -> None:
        self.streams: dict[Route, Stream] = {}
        self._exchange = exchange
        self._instruments = instruments
        self._channels = tuple(channels)
        self._writer = writer
        self._watch = watch
        self._handover = handover
        self._send = send
        self._on_books = on_books
        self._acknowledgements = Acknowledgements()
        self._ids = itertools.count(1)
        self._limiter = AsyncLimiter(*exchange.messages)
        self._listed = False
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange)

    # Asking

    async def subscribe(self) -> None:
        await self._ask(self._exchange.subscribe(self._instruments, self._channels, self._ids))

    async def request_snapshot(self, symbol: str) -> None:
        """Have the exchange send a fresh book snapshot over this connection."""
        if self._exchange.snapshots == "message":
            await self._ask([self._exchange.snapshot_request(symbol, self._ids)])
        else:
            await self._ask(self._exchange.resubscribe(symbol, "books", self._ids))

    async def _ask(self, requests: list[Request]) -> None:
        for request in requests:
            for route in request.routes:
                if route not in self.streams:
                    self._add(route)
            await self._limiter.acquire()
            self._acknowledgements.ask(request, time.monotonic())
            await self._send(request.text)

    def _add(self, route: Route) -> None:
        stream = Stream(self._instruments[route.symbol].key, route, self._writer.frame)
        self.streams[route] = stream
        if self._handover is not None:
            self._handover.prepare(stream)

    # Answers

    def first_frame(self, stream: Stream) -> None:
        if stream.route.channel == "books" and stream.acknowledged_at:
            self._on_books(stream)

    def acknowledged(self, control: Control) -> None:
        now, channels = time.time_ns(), dict[str, list[str]]()
        for route in self._acknowledgements.acknowledge(control.id, control.routes):
            stream = self.streams[route]
            stream.acknowledged_at, stream.refusals = now, 0
            channels.setdefault(stream.key, []).append(route.channel)
        if control.reason:
            self._acknowledgements.refuse(control.id, control.reason, time.monotonic())
        for key, names in channels.items():
            self._writer.marker(now, key, "subscribed", channels=names)
        for stream in self.streams.values():
            if stream.acknowledged_at == now and stream.heard_at and stream.route.channel == "books":
                self._on_books(stream)

    def refused(self, control: Control) -> None:
        if not self._acknowledgements.refuse(control.id, control.reason, time.monotonic()):
            self._log.warning("the exchange reports an error", reason=control.reason)

    def listed(self, control: Control) -> None:
        reason = "acknowledged, but not among the subscriptions that the exchange lists"
        self._mark_refused([(route, reason) for route in self._acknowledgements.missing(control.routes)])

    def _mark_refused(self, refused: list[tuple[Route, str]]) -> None:
        now = time.time_ns()
        for route, reason in refused:
            stream = self.streams[route]
            wait = min(_RETRY * 2**stream.refusals, _MOST_RETRY)
            stream.acknowledged_at = 0
            stream.refusals += 1
            stream.retry_at = now + int(wait * 1e9)
            self._writer.marker(now, stream.key, "refused", channels=[route.channel], reason=reason)
            about = {"symbol": route.symbol, "channel": route.channel, "reason": reason}
            self._log.error("subscription refused", **about, again_in_s=wait)

    # Looking after

    async def look_after(self) -> None:
        """What time brings: refusals, retries, silence."""
        self._mark_refused(self._acknowledgements.overdue(time.monotonic()))
        await self._ask_for_list()
        now = time.time_ns()
        for stream in list(self.streams.values()):
            if stream.retry_at and stream.retry_at <= now:
                stream.retry_at = 0
                await self._ask(self._exchange.subscribe([stream.route.symbol], [stream.route.channel], self._ids))

    async def mend(self) -> str:
        """Do what is due about silent streams; a reason if the connection should be changed for another."""
        now, change = time.time_ns(), ""
        for stream in list(self.streams.values()):
            symbol, channel = stream.route.symbol, stream.route.channel
            if age := self._watch.resumed(stream):
                self._writer.marker(now, stream.key, "resumed", channel=channel, age=age // 1000)
                self._log.info("sends again", symbol=symbol, channel=channel, after_s=age // 10**9)
            silent = self._watch.look(stream, now)
            if silent is None:
                continue
            age, step = silent.age, silent.step
            self._writer.marker(now, stream.key, "silent", channel=channel, age=age // 1000, step=step)
            about = {"symbol": symbol, "channel": channel, "for_s": age // 10**9, "step": step}
            self._log.warning("subscribed but silent", **about)
            if step == "resubscribe":
                await self._ask(self._exchange.resubscribe(symbol, channel, self._ids))
            else:
                change = f"{symbol} {channel} is silent"
        return change

    def flow(self) -> bool:
        """Whether every stream flows, and none waits to be handed over."""
        now = time.time_ns()
        if self._handover is not None and not self._handover.complete(self.streams, now):
            return False
        return bool(self.streams) and all(stream.flows(now) for stream in self.streams.values())

    async def _ask_for_list(self) -> None:
        """Once all is acknowledged: have the exchange list what it took."""
        if self._listed or not self._acknowledgements.acknowledged or not self._acknowledgements.settled:
            return
        self._listed = True
        if request := self._exchange.listing_request():
            await self._limiter.acquire()
            await self._send(request)
