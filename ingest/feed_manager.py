"""One feed: its instruments, the connections that carry them, snapshots, its clock."""

import asyncio
import itertools
import time
from collections.abc import Callable

import aiohttp
import structlog
from aiolimiter import AsyncLimiter

from ingest.announcements import Announcements
from ingest.clock import compare_clock
from ingest.connection import Connection
from ingest.connection_pool import ConnectionPool
from ingest.connection_supervisor import ConnectionSupervisor
from ingest.definitions import Changes, Definitions
from ingest.exchanges.base import Connector
from ingest.exchanges.listing import Listing
from ingest.raw_writer import RawWriter
from ingest.rest import Rest
from ingest.retry_after import Gate
from ingest.snapshots import Snapshots
from ingest.supervision import delay_after, supervise
from ingest.watchdog import Watchdog
from schemas.errors import ExchangeError
from schemas.instruments import Instrument
from schemas.markers import Clock, Definition, Delisted, Listed, Markers, RateLimited
from schemas.settings import Endpoint, Settings

log = structlog.get_logger(__name__)

_CLOCK_EVERY = 60.0  # s between two looks at the exchange's clock
_GATHER = 1.0  # s in which announcements gather until the definitions are read again
_APART = 10.0  # s at least between two readings that announcements cause


class FeedManager:
    """Ingest one feed: `run` goes on until cancelled. `request_snapshot` and `reconnect` serve the control topic."""

    def __init__(
        self,
        exchange: Connector,
        settings: Settings,
        writer: RawWriter,
        session: aiohttp.ClientSession,
        on_clock: Callable[[str, int], None] = lambda feed, offset: None,
    ) -> None:
        """`on_clock(feed, offset)` is told by how much the exchange's clock is ahead of ours, µs."""
        endpoint = settings.endpoints.get(exchange.name, Endpoint())
        self.name = exchange.name
        self._exchange = exchange
        self._address = (endpoint.ws or exchange.ws).rstrip("/")
        self._selection = settings.selection_of(exchange.name)
        self._silent_s = settings.channel_timeout_s
        self._refresh_s = settings.instruments_refresh_s
        self._writer = writer
        self._on_clock = on_clock
        base = endpoint.rest or exchange.rest
        self._rest = Rest(exchange.name, base, exchange.weight_per_minute, session, self._on_rate_limit)
        self._connects = AsyncLimiter(*exchange.connects)
        self._gate = Gate()
        self._news = asyncio.Event()
        self._definitions = Definitions()
        self._instruments: dict[str, Instrument] = {}  # by key
        self._carriers: ConnectionPool | None = None
        self._snapshots: Snapshots | None = None
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange)

    async def run(self) -> None:
        """Go on until cancelled; an error of one part is that part's alone."""
        if not self._selection:
            self._log.warning("no symbol of the settings is of this feed's kinds", kinds=self._exchange.feed.kinds)
            return
        self._definitions, self._instruments = Definitions(), {}
        listing = await self._first_listing()
        async with asyncio.TaskGroup() as tasks:
            self._snapshots = Snapshots(tasks, self._fetch)
            self._carriers = self._made_carriers(tasks)
            self._begin(listing)
            tasks.create_task(supervise("clock", self._watch_clock, self._log))
            tasks.create_task(supervise("definitions", self._refresh, self._log))
            if self._exchange.news_path:
                news = Announcements(self._exchange, self._address, self._selection, self._gate, self._news.set)
                tasks.create_task(supervise("announcements", news.run, self._log))

    def request_snapshot(self, key: str, caused_at: int) -> None:
        """Fetch this instrument's book anew, if it is one of ours. `caused_at`: µs since the epoch."""
        self._request_snapshot(key, caused_at, first=False)

    def reconnect(self) -> None:
        """Move every connection to a new socket, without a break."""
        for carrier in self._carriers or ():
            carrier.renew("asked for by the operator")

    def _made_carriers(self, tasks: asyncio.TaskGroup) -> ConnectionPool:
        exchange = self._exchange
        paths = [path for path, channels in exchange.paths.items() if set(channels) & set(exchange.channels)]
        books = next((path for path in paths if "books" in exchange.paths[path]), "")
        return ConnectionPool(tasks, self._carrier, paths, books, exchange.instruments_per_connection, self._log)

    def _carrier(self, path: str, instruments: dict[str, Instrument]) -> ConnectionSupervisor:
        return ConnectionSupervisor(
            self._exchange,
            self._address,
            path,
            instruments,
            self._writer,
            self._connects,
            self._gate,
            Watchdog(self._silent_s),
            self._on_books,
        )

    # Definitions

    async def _first_listing(self) -> Listing:
        """What the exchange lists of the settings; keeps trying until it answers."""
        for attempt in itertools.count():
            try:
                found = await self._exchange.instruments(self._rest, self._selection)
                if self._definitions.plausible(found):
                    break
                self._log.error("the exchange lists nothing at all: trying again")
            except ExchangeError as error:
                self._log.error("no instrument definitions: trying again", error=str(error))
            await asyncio.sleep(delay_after(attempt))
        if missing := [symbol for symbol in self._selection.exact if symbol not in found]:
            self._log.warning("not listed here: going on with the rest", symbols=missing)
        if self._selection.patterns:
            self._log.info("symbols chosen by pattern", patterns=self._selection.patterns, symbols=len(found))
        for instrument in found.values():
            if instrument.status != "trading":
                self._log.warning("not trading at present", symbol=instrument.symbol, status=instrument.status)
        return found

    def _begin(self, listing: Listing) -> None:
        found = self._definitions.compare(listing).listed
        self._instruments.update((instrument.key, instrument) for instrument in found)
        if self._carriers is not None:
            self._carriers.add(found)

    async def _refresh(self) -> None:
        """Read the definitions again, from time to time and when the exchange announces something."""
        read_at, wait = time.monotonic(), self._refresh_s
        while True:
            announced = await self._announced(max(read_at + wait - time.monotonic(), 0))
            read_at = time.monotonic()
            try:
                listing = await self._exchange.instruments(self._rest, self._selection)
            except ExchangeError as error:
                self._log.warning("instrument definitions cannot be read again: the known ones hold", error=str(error))
            else:
                if self._definitions.plausible(listing):
                    self._apply(self._definitions.compare(listing))
                else:
                    self._log.warning("implausibly short listing: passed over", entries=dict(listing.sizes))
            # What an announcement has put in doubt is looked at again soon.
            wait = min(self._refresh_s, _APART) if announced and self._definitions.doubtful else self._refresh_s
            await asyncio.sleep(max(min(_APART, self._refresh_s) - (time.monotonic() - read_at), 0))

    async def _announced(self, seconds: float) -> bool:
        """Wait for an announcement, so long at most; whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(min(_GATHER, self._refresh_s))
        self._news.clear()
        return True

    def _apply(self, changes: Changes) -> None:
        """Take up, change and drop instruments; the workers learn it by markers."""
        if self._carriers is None:
            return
        now = time.time_ns()
        for instrument, reason in changes.delisted:
            self._carriers.remove(instrument)
            del self._instruments[instrument.key]
            if self._snapshots is not None:
                self._snapshots.forget(instrument.key)
            self._writer.marker(now, instrument.key, Delisted(reason=reason))
            self._log.warning("delisted", symbol=instrument.symbol, reason=reason)
        for instrument in changes.changed:
            before = self._instruments[instrument.key]
            self._instruments[instrument.key] = instrument
            self._carriers.change(instrument)
            self._writer.marker(now, instrument.key, Definition(instrument))
            self._log.warning("definition changed", symbol=instrument.symbol, changes=_difference(before, instrument))
        for instrument in changes.listed:
            self._instruments[instrument.key] = instrument
            self._writer.marker(now, instrument.key, Definition(instrument))
            self._writer.marker(now, instrument.key, Listed(reason="new in the exchange's listing"))
            self._log.info("listed", symbol=instrument.symbol, status=instrument.status)
        self._carriers.add(changes.listed)

    # Books

    def _on_books(self, key: str) -> None:
        """A books stream flows whose snapshot does not come by itself."""
        self._request_snapshot(key, time.time_ns() // 1000, first=True)

    def _request_snapshot(self, key: str, caused_at: int, first: bool) -> None:
        if self._snapshots is not None and self._carriers is not None and self._carriers.of_books(key) is not None:
            self._snapshots.request(key, caused_at, first)

    async def _fetch(self, key: str) -> int:
        instrument = self._instruments[key]
        if self._exchange.snapshots != "rest":
            if connection := self._connection_of_books(key):
                connection.request_snapshot(instrument.exchange_symbol)
            return time.time_ns()
        body = await self._exchange.snapshot(self._rest, instrument.exchange_symbol)
        now = time.time_ns()
        connection = self._connection_of_books(key)
        if connection is not None and connection.open:  # else it is of a time before the next connection's
            levels = self._exchange.seed_levels()
            self._writer.marker(now, key, Definition(self._instruments[key], levels))
            self._writer.frame(now, key, body)
        return now

    def _connection_of_books(self, key: str) -> Connection | None:
        carrier = self._carriers.of_books(key) if self._carriers is not None else None
        return carrier.connection if carrier is not None else None

    # Health

    def _mark_all(self, marker: Markers) -> None:
        now = time.time_ns()
        for key in self._instruments:
            self._writer.marker(now, key, marker)

    def _on_rate_limit(self, status: int, seconds: float) -> None:
        self._mark_all(RateLimited(status=status, seconds=seconds, where="rest"))

    async def _watch_clock(self) -> None:
        while True:
            try:
                clock = await compare_clock(self._exchange, self._rest)
            except ExchangeError as error:
                self._log.warning("the exchange's clock cannot be compared", error=str(error))
            else:
                self._mark_all(Clock(offset=clock.offset, round_trip=clock.round_trip))
                self._on_clock(self.name, clock.offset)
            await asyncio.sleep(_CLOCK_EVERY)


def _difference(before: Instrument, now: Instrument) -> dict[str, str]:
    """Each field that changed: what it was and is."""
    old, new = before.model_dump(), now.model_dump()
    return {name: f"{old[name]} → {value}" for name, value in new.items() if value != old[name]}
