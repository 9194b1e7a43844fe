"""One feed: its instruments, the sockets that carry them, snapshots, its clock."""

import asyncio
import itertools
import time

import aiohttp
import structlog
from aiolimiter import AsyncLimiter

from ingest.carrier import Carrier, delay_after
from ingest.clock import compare_clock
from ingest.exchanges.base import ExchangeFeed
from ingest.raw_writer import RawWriter
from ingest.rest import Rest
from ingest.snapshots import Snapshots
from ingest.watch import Watch
from schemas.errors import ExchangeError
from schemas.instruments import Instrument
from schemas.settings import Endpoint, Settings

log = structlog.get_logger(__name__)

_CLOCK_EVERY = 60.0  # s between two looks at the exchange's clock
_MALFORMED = (KeyError, TypeError, ValueError, IndexError)


class FeedManager:
    """`run` never returns by itself. `request_snapshot` and `reconnect` serve the control topic."""

    def __init__(
        self, exchange: ExchangeFeed, settings: Settings, writer: RawWriter, session: aiohttp.ClientSession
    ) -> None:
        endpoint = settings.endpoints.get(exchange.name, Endpoint())
        self.name = exchange.name
        self._exchange = exchange
        self._address = (endpoint.ws or exchange.ws).rstrip("/")
        self._selection = settings.selection_of(exchange.name)
        self._silent_s = settings.silent_s
        self._writer = writer
        base = endpoint.rest or exchange.rest
        self._rest = Rest(exchange.name, base, exchange.weight_per_minute, session, self._on_rate_limit)
        self._connects = AsyncLimiter(*exchange.connects)
        self._carriers: list[Carrier] = []
        self._book_carriers: dict[str, Carrier] = {}
        self._instruments: dict[str, Instrument] = {}
        self._snapshots: Snapshots | None = None
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange)

    async def run(self) -> None:
        if not self._selection:
            self._log.warning("no symbol of the settings is of this feed's kinds", kinds=self._exchange.feed.kinds)
            return
        found = list((await self._definitions()).values())
        self._instruments = {instrument.key: instrument for instrument in found}
        most = self._exchange.instruments_per_connection
        for start in range(0, len(found), most):
            self._add_carriers(found[start : start + most])
        async with asyncio.TaskGroup() as tasks:
            self._snapshots = Snapshots(tasks, self._fetch)
            tasks.create_task(self._watch_clock())
            for carrier in self._carriers:
                tasks.create_task(carrier.run())

    def request_snapshot(self, key: str, caused_at: int) -> None:
        """Fetch this instrument's book anew, if it is one of ours. `caused_at`: µs since the epoch."""
        if self._snapshots is not None and key in self._book_carriers:
            self._snapshots.request(key, caused_at)

    def reconnect(self) -> None:
        """Move every connection to a new socket, without a break."""
        for carrier in self._carriers:
            carrier.renew("asked for by the operator")

    def _add_carriers(self, instruments: list[Instrument]) -> None:
        for path, channels in self._exchange.paths.items():
            if not set(channels) & set(self._exchange.channels):
                continue
            watch = Watch(self._silent_s)
            carrier = Carrier(
                self._exchange, self._address, path, instruments, self._writer, self._connects, watch, self._on_books
            )
            self._carriers.append(carrier)
            if "books" in channels:
                self._book_carriers.update((instrument.key, carrier) for instrument in instruments)

    async def _definitions(self) -> dict[str, Instrument]:
        """The instruments of the settings; keeps trying until the exchange answers."""
        for attempt in itertools.count():
            try:
                found = await self._exchange.instruments(self._rest, self._selection)
                break
            except ExchangeError as error:
                self._log.error("no instrument definitions: trying again", error=str(error))
            except _MALFORMED as error:
                self._log.error("instrument definitions not understood: trying again", error=repr(error))
            await asyncio.sleep(delay_after(attempt))
        if missing := [symbol for symbol in self._selection.exact if symbol not in found]:
            self._log.warning("not listed here: going on with the rest", symbols=missing)
        if self._selection.patterns:
            self._log.info("symbols chosen by pattern", patterns=self._selection.patterns, symbols=len(found))
        for instrument in found.values():
            if instrument.status != "trading":
                self._log.warning("not trading at present", symbol=instrument.symbol, status=instrument.status)
        return found

    # Books

    def _on_books(self, key: str) -> None:
        """A books stream flows whose snapshot does not come by itself."""
        self.request_snapshot(key, time.time_ns() // 1000)

    async def _fetch(self, key: str) -> int:
        instrument, carrier = self._instruments[key], self._book_carriers[key]
        connection = carrier.connection
        if self._exchange.snapshots != "rest":
            if connection is not None:
                await connection.request_snapshot(instrument.exchange_symbol)
            return time.time_ns()
        body = await self._exchange.snapshot(self._rest, instrument.exchange_symbol)
        now = time.time_ns()
        if connection is not None and connection.open:  # else it is of a time before the next connection's
            self._writer.marker(now, key, "instrument", **instrument.model_dump())
            self._writer.frame(now, key, body)
        return now

    # Health

    def _mark_all(self, kind: str, **fields: str | float) -> None:
        now = time.time_ns()
        for key in self._instruments:
            self._writer.marker(now, key, kind, **fields)

    def _on_rate_limit(self, status: int, seconds: float) -> None:
        self._mark_all("rate_limited", status=status, seconds=seconds, where="rest")

    async def _watch_clock(self) -> None:
        while True:
            try:
                clock = await compare_clock(self._exchange, self._rest)
            except (ExchangeError, *_MALFORMED) as error:
                self._log.warning("the exchange's clock cannot be compared", error=str(error))
            else:
                self._mark_all("clock", offset=clock.offset, round_trip=clock.round_trip)
            await asyncio.sleep(_CLOCK_EVERY)
