"""One feed: its instruments, the connections that carry them, reconnects, snapshots."""

import asyncio
import itertools
import random
import time
from collections.abc import Iterable

import aiohttp
import structlog
from aiolimiter import AsyncLimiter

from ingest.connection import Connection
from ingest.exchanges.base import ExchangeFeed
from ingest.raw_writer import RawWriter
from ingest.rest import Rest
from ingest.snapshots import Snapshots
from schemas.errors import ExchangeError
from schemas.instruments import Instrument
from schemas.settings import Endpoint, Settings

log = structlog.get_logger(__name__)

_FIRST_DELAY = 0.5  # s before the first reconnect; doubles
_MOST_DELAY = 30.0
_HEALTHY = 10.0  # s of frames after which the next reconnect is quick again


class FeedManager:
    """`run` never returns by itself. `request_snapshot` serves the streams' requests."""

    def __init__(
        self, exchange: ExchangeFeed, settings: Settings, writer: RawWriter, session: aiohttp.ClientSession
    ) -> None:
        endpoint = settings.endpoints.get(exchange.name, Endpoint())
        self._exchange = exchange
        self._address = (endpoint.ws or exchange.ws).rstrip("/")
        self._symbols = settings.symbols_of(exchange.name)
        self._writer = writer
        self._rest = Rest(exchange.name, endpoint.rest or exchange.rest, exchange.weight_per_minute, session)
        self._connects = AsyncLimiter(*exchange.connects)
        self._carriers: dict[str, Connection] = {}
        self._instruments: dict[str, Instrument] = {}
        self._snapshots: Snapshots | None = None
        self._log = log.bind(feed=exchange.name, exchange=exchange.feed.exchange)

    async def run(self) -> None:
        if not self._symbols:
            self._log.warning("no symbol of the settings is of this feed's kinds", kinds=self._exchange.feed.kinds)
            return
        found = list((await self._definitions()).values())
        self._instruments = {instrument.key: instrument for instrument in found}
        most = self._exchange.instruments_per_connection
        async with asyncio.TaskGroup() as tasks:
            self._snapshots = Snapshots(tasks, self._fetch)
            for start in range(0, len(found), most):
                tasks.create_task(self._keep_connected(found[start : start + most]))

    def request_snapshot(self, key: str, caused_at: int) -> None:
        """Fetch this instrument's book anew, if it is one of ours. `caused_at`: µs since the epoch."""
        if self._snapshots is not None and key in self._instruments:
            self._snapshots.request(key, caused_at)

    async def _definitions(self) -> dict[str, Instrument]:
        """The instruments of the settings; keeps trying until the exchange answers."""
        for attempt in itertools.count():
            try:
                found = await self._exchange.instruments(self._rest, self._symbols)
                break
            except ExchangeError as error:
                self._log.error("no instrument definitions: trying again", error=str(error))
            except (KeyError, TypeError, ValueError) as error:
                self._log.error("instrument definitions not understood: trying again", error=repr(error))
            await asyncio.sleep(_delay(attempt))
        if missing := [symbol for symbol in self._symbols if symbol not in found]:
            self._log.error("the exchange has no such symbols: going on with the rest", symbols=missing)
        for instrument in found.values():
            if instrument.status != "trading":
                self._log.warning("not trading at present", symbol=instrument.symbol, status=instrument.status)
        return found

    async def _keep_connected(self, instruments: Iterable[Instrument]) -> None:
        failures = 0
        while True:
            await self._connects.acquire()
            connection = Connection(self._exchange, self._address, instruments, self._writer, self._on_books)
            self._carriers.update((instrument.key, connection) for instrument in instruments)
            began = time.monotonic()
            reason = await connection.run()
            lived = time.monotonic() - began
            failures = 0 if connection.frames and lived > _HEALTHY else failures + 1
            delay = _delay(failures - 1) if failures else 0.0
            self._log.warning("disconnected", reason=reason, lived_s=round(lived, 1), again_in_s=round(delay, 2))
            await asyncio.sleep(delay)

    def _on_books(self, key: str) -> None:
        """A books stream flows: where the exchange sends no snapshot with it, fetch one."""
        if self._exchange.snapshots_by_rest:
            self.request_snapshot(key, time.time_ns() // 1000)

    async def _fetch(self, key: str) -> int:
        instrument, carrier = self._instruments[key], self._carriers[key]
        if not self._exchange.snapshots_by_rest:
            await carrier.resubscribe_books(instrument.exchange_symbol)
            return time.time_ns()
        body = await self._exchange.snapshot(self._rest, instrument.exchange_symbol)
        now = time.time_ns()
        if carrier.open and carrier is self._carriers[key]:  # else it is of a time before the next connection's
            self._writer.marker(now, key, "instrument", **instrument.model_dump())
            self._writer.frame(now, key, body)
        return now


def _delay(failures: int) -> float:
    """Exponential, with jitter: seconds before the attempt after so many failures."""
    return float(min(_FIRST_DELAY * 2 ** min(failures, 10), _MOST_DELAY) * random.uniform(0.5, 1))
