"""Ingest one feed: its instruments and their connections, book snapshots, and the exchange's clock."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

import structlog
from aiolimiter import AsyncLimiter

from ingest.announcements import Announcements
from ingest.clock import compare_clock
from ingest.connection import Connection
from ingest.connection_pool import ConnectionPool
from ingest.connection_supervisor import ConnectionSupervisor
from ingest.definitions import Changes
from ingest.exchanges.base import Connector
from ingest.exchanges.listing import Listing
from ingest.hosts import Hosts
from ingest.listing_reader import ListingReader
from ingest.load_balancer import LoadBalancer
from ingest.polls import Polls
from ingest.raw_writer import RawWriter
from ingest.rest import Rest, RestPool
from ingest.rest_fallback import Fallback
from ingest.retry_after import Gate
from ingest.snapshots import Snapshots
from ingest.subscription import Subscription
from ingest.supervision import supervise
from ingest.timings import Timings
from ingest.watchdog import Watchdog
from schemas.connections import FeedReport
from schemas.control import MoveRequest
from schemas.errors import ExchangeError
from schemas.instruments import Instrument, differences
from schemas.markers import Clock, Definition, Delisted, Listed, Markers
from schemas.settings import Settings

log = structlog.get_logger(__name__)


class FeedManager:
    """Manager of one feed. The control topic's requests arrive as methods."""

    def __init__(
        self,
        connector: Connector,
        settings: Settings,
        timings: Timings,
        writer: RawWriter,
        pool: RestPool,
        on_clock: Callable[[str, int], None] = lambda feed, offset: None,
    ) -> None:
        """`on_clock(feed, offset)` receives by how many µs the exchange's clock is ahead of ours."""
        self.name = connector.name
        self._connector = connector
        self._timings = timings
        self._hosts = Hosts(connector, settings, timings, self._mark_all)
        self._selection = settings.selection_of(connector.name)
        self._channel_timeout_s = settings.channel_timeout_s
        self._fallback_after_s = settings.rest_fallback_after_s
        self._writer = writer
        self._on_clock = on_clock
        self._rest = Rest(connector.name, self._hosts.rest, connector.limits, pool, self._mark_all)
        self._connects = AsyncLimiter(*connector.connect_rate)
        self._gate = Gate()
        self._found: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()
        self._instruments: dict[str, Instrument] = {}  # by key
        self._clock_offset = 0  # µs
        self._periods = settings.poll_s
        self._pool: ConnectionPool | None = None
        self._balancer: LoadBalancer | None = None
        self._polls: Polls | None = None
        self._snapshots: Snapshots | None = None
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange)
        self._listings = ListingReader(
            connector,
            self._rest,
            self._selection,
            settings.instruments_refresh_s,
            timings.min_refresh_interval_s,
            self._log,
        )

    async def run(self) -> None:
        """Ingest until cancelled. An error in one part restarts only that part."""
        if not self._selection:
            self._log.warning("no configured symbol is available on this feed", kinds=self._connector.feed.kinds)
            self._set_found(())
            return
        self._instruments = {}
        listing = await self._listings.first()
        self._set_found(name for name, each in listing.items() if self._connector.serves(each.kind))
        async with asyncio.TaskGroup() as tasks:
            self._snapshots = Snapshots(tasks, self._fetch_snapshot, self._timings)
            self._pool = self._make_pool(tasks)
            self._balancer = self._make_balancer(self._pool)
            self._polls = self._make_polls()
            self._add_first(listing)
            if not self._connector.paths:  # no connection will report that the feed is served
                self._log.info("connected by polls alone", polls=list(self._connector.polled))
            tasks.create_task(supervise("clock", self._compare_clock, self._log))
            tasks.create_task(supervise("polls", self._polls.run, self._log))
            if self._fallback_after_s and self._pool.has_books:
                tasks.create_task(supervise("REST fallback", self._make_fallback().run, self._log))
            tasks.create_task(supervise("balance", self._balancer.run, self._log))
            tasks.create_task(supervise("statistics", self._rest.statistics.run, self._log))
            tasks.create_task(supervise("definitions", partial(self._listings.run, self._apply_changes), self._log))
            tasks.create_task(self._hosts.run(self._rest, self._connects, self._gate, self._log))
            if self._connector.announcement_path:
                announcements = Announcements(
                    self._connector, self._hosts.sockets, self._selection, self._gate, self._listings.announced.set
                )
                tasks.create_task(supervise("announcements", announcements.run, self._log))

    async def first_symbols(self) -> frozenset[str]:
        """Return the symbols to ingest in the exchange's first listing, once it has been read."""
        return await asyncio.shield(self._found)

    def _set_found(self, symbols: Iterable[str]) -> None:
        if not self._found.done():  # else this is a restart
            self._found.set_result(frozenset(symbols))

    def request_snapshot(self, key: str, caused_at: int) -> None:
        """Request a fresh book snapshot of an instrument, if this feed has it. `caused_at`: µs since the epoch."""
        self._request_snapshot(key, caused_at, first=False)

    def reconnect(self) -> None:
        """Move every connection to a new socket, without a gap."""
        for supervisor in self._pool or ():
            supervisor.renew("requested by the operator")

    def refresh(self) -> None:
        """Read the exchange's listing soon, as if it had announced something."""
        self._listings.announced.set()

    def move(self, request: MoveRequest) -> None:
        """Move an instrument to another connection, without a gap."""
        if self._balancer is not None:
            self._balancer.request(request)

    def report(self, ingest: str) -> FeedReport:
        """Return the state of the feed's hosts and connections. `ingest`: the name of this process."""
        return FeedReport(
            ingest=ingest,
            feed=self.name,
            capacity=self._connector.group_size,
            hosts=self._hosts.report(),
            connections=self._pool.report() if self._pool is not None else [],
            answers=self._balancer.answers if self._balancer is not None else [],
        )

    def _make_pool(self, tasks: asyncio.TaskGroup) -> ConnectionPool:
        connector = self._connector
        paths = connector.paths
        books_path = next((path for path in paths if "books" in connector.channels_on(path)), "")
        return ConnectionPool(tasks, self._make_supervisor, paths, books_path, connector.group_size, self._log)

    def _make_balancer(self, pool: ConnectionPool) -> LoadBalancer:
        return LoadBalancer(pool, self._connector.feed.exchange, self._timings.balance_interval_s, self._log)

    def _make_supervisor(self, path: str, instruments: dict[str, Instrument]) -> ConnectionSupervisor:
        return ConnectionSupervisor(
            self._connector,
            self._hosts.sockets,
            path,
            instruments,
            self._timings,
            self._writer,
            self._connects,
            self._gate,
            Watchdog(self._channel_timeout_s),
            self._on_snapshot_needed,
        )

    def _make_polls(self) -> Polls:
        return Polls(
            self._connector,
            self._instruments,
            self._periods,
            self._rest,
            self._writer,
            lambda: self._clock_offset,
        )

    def _make_fallback(self) -> Fallback:
        return Fallback(
            self._connector,
            self._instruments,
            self._books_subscription,
            self._rest,
            self._writer,
            self._fallback_after_s,
            self._channel_timeout_s["books"],
        )

    # Definitions

    def _add_first(self, listing: Listing) -> None:
        found = self._listings.compare(listing).listed
        self._instruments.update((instrument.key, instrument) for instrument in found)
        for marker in self._hosts.changes:  # those from before there was an instrument to report them of
            self._mark_all(marker)
        if self._pool is not None and self._polls is not None:
            self._pool.add(found)
            self._polls.add(found)

    def _apply_changes(self, changes: Changes) -> None:
        """Add, change and remove instruments. Markers report it to the workers."""
        if self._pool is None or self._polls is None:
            return
        now = time.time_ns()
        for instrument, reason in changes.delisted:
            self._pool.remove(instrument)
            self._polls.remove(instrument)
            del self._instruments[instrument.key]
            if self._snapshots is not None:
                self._snapshots.forget(instrument.key)
            self._writer.write_marker(now, instrument.key, Delisted(reason=reason))
            self._log.warning("delisted", symbol=instrument.symbol, reason=reason)
        for instrument in changes.changed:
            before = self._instruments[instrument.key]
            self._instruments[instrument.key] = instrument
            self._pool.change(instrument)
            self._writer.write_marker(now, instrument.key, Definition(instrument))
            self._log.warning("definition changed", symbol=instrument.symbol, changes=_changes(before, instrument))
        for instrument in changes.listed:
            self._instruments[instrument.key] = instrument
            self._writer.write_marker(now, instrument.key, Definition(instrument))
            self._writer.write_marker(now, instrument.key, Listed(reason="new in the exchange's listing"))
            self._log.info("listed", symbol=instrument.symbol, status=instrument.status)
        self._pool.add(changes.listed)
        self._polls.add(changes.listed)

    # Books

    def _on_snapshot_needed(self, key: str) -> None:
        self._request_snapshot(key, time.time_ns() // 1000, first=True)

    def _request_snapshot(self, key: str, caused_at: int, first: bool) -> None:
        if self._snapshots is not None and self._pool is not None and self._pool.books_supervisor(key) is not None:
            self._snapshots.request(key, caused_at, first)

    async def _fetch_snapshot(self, key: str) -> int:
        instrument = self._instruments[key]
        if self._connector.snapshots != "rest":
            if connection := self._books_connection(key):
                connection.request_snapshot(instrument.exchange_symbol)
            return time.time_ns()
        body = await self._connector.snapshot(self._rest, instrument.exchange_symbol)
        now = time.time_ns()
        connection = self._books_connection(key)
        if connection is not None and connection.open:  # else the next connection requests its own
            levels = self._connector.seed_levels()
            self._writer.write_marker(now, key, Definition(self._instruments[key], levels))
            self._writer.write_frame(now, key, body)
        return now

    def _books_connection(self, key: str) -> Connection | None:
        supervisor = self._pool.books_supervisor(key) if self._pool is not None else None
        return supervisor.connection if supervisor is not None else None

    def _books_subscription(self, key: str) -> Subscription | None:
        connection = self._books_connection(key)
        if connection is None or not connection.open:
            return None
        route = self._connector.route_of(self._instruments[key].exchange_symbol, "books")
        return connection.subscriptions.by_route.get(route)

    # Health

    def _mark_all(self, marker: Markers) -> None:
        now = time.time_ns()
        for key in self._instruments:
            self._writer.write_marker(now, key, marker)

    async def _compare_clock(self) -> None:
        while True:
            try:
                clock = await compare_clock(self._connector, self._rest)
            except ExchangeError as error:
                self._log.warning("cannot compare the exchange's clock", error=str(error))
            else:
                self._mark_all(Clock(offset=clock.offset, round_trip=clock.round_trip))
                self._clock_offset = clock.offset
                self._on_clock(self.name, clock.offset)
            await asyncio.sleep(self._timings.clock_interval_s)


def _changes(before: Instrument, now: Instrument) -> dict[str, str]:
    """Return each field that changed, as `old → new`."""
    return {name: f"{old} → {new}" for name, (old, new) in differences(before, now).items()}
