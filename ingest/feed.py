"""One feed: its instruments, spread over connections within the exchange's limits, and the snapshots of its books."""

import asyncio
import time

import structlog
from aiolimiter import AsyncLimiter

from ingest.connection import Connection
from ingest.exchanges import protocol_of
from ingest.exchanges.protocol import Subscription
from ingest.raw_writer import RawWriter
from ingest.rest import Rest
from schemas.errors import ExchangeError
from schemas.instruments import Instrument
from schemas.settings import Endpoint, Settings

log = structlog.get_logger(__name__)


class IngestFeed:
    """Runs until cancelled. `request_snapshot` is called for what `control.ingest` asks."""

    def __init__(self, name: str, settings: Settings, writer: RawWriter) -> None:
        self.name = name
        self.protocol = protocol_of(name)
        endpoint = settings.endpoints.get(name, Endpoint())
        self._symbols = settings.symbols_of(name)
        self._url = (endpoint.ws or self.protocol.ws) + self.protocol.path
        self._rest = Rest(self.protocol, endpoint.rest or self.protocol.rest)
        self._writer = writer
        self._connections: list[Connection] = []
        self._connects = AsyncLimiter(self.protocol.limits.connects_per_minute, 60)
        self._seeds: asyncio.Queue[Instrument] = asyncio.Queue()
        self._queued: set[str] = set()

    async def run(self) -> None:
        try:
            instruments = self._chosen(await self._rest.instruments())
            if not instruments:
                log.warning("nothing to ingest", feed=self.name, symbols=self._symbols)
                return
            self._connections = [self._connection(shard) for shard in self._shards(instruments)]
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fetch_seeds())
                for connection in self._connections:
                    group.create_task(connection.run())
        finally:
            await self._rest.close()

    def _chosen(self, listed: list[Instrument]) -> list[Instrument]:
        by_symbol = {instrument.symbol: instrument for instrument in listed}
        for symbol in self._symbols:
            if symbol not in by_symbol:
                log.error("the exchange has no such instrument", feed=self.name, symbol=symbol)
            elif by_symbol[symbol].status != "trading":
                log.warning("not trading", feed=self.name, symbol=symbol, status=by_symbol[symbol].status)
        return [by_symbol[symbol] for symbol in self._symbols if symbol in by_symbol]

    def _shards(self, instruments: list[Instrument]) -> list[list[Subscription]]:
        """An instrument's subscriptions stay on one connection, so that its frames keep their order."""
        shards: list[list[Subscription]] = [[]]
        for instrument in instruments:
            wanted = self.protocol.subscriptions(instrument)
            if len(shards[-1]) + len(wanted) > self.protocol.limits.subscriptions:
                shards.append([])
            shards[-1] += wanted
        return shards

    def _connection(self, shard: list[Subscription]) -> Connection:
        return Connection(self.protocol, self._url, shard, self._writer, self._connects, self._want_seed)

    async def request_snapshot(self, key: str) -> None:
        """Get one instrument's snapshot again; nothing where the feed does not carry it."""
        for connection in self._connections:
            instrument = connection.instruments.get(key)
            if instrument is not None and self.protocol.seeds:
                self._want_seed(instrument)
            elif instrument is not None:
                await connection.resubscribe_books(key)

    def _want_seed(self, instrument: Instrument) -> None:
        if instrument.key not in self._queued:
            self._queued.add(instrument.key)
            self._seeds.put_nowait(instrument)

    async def _fetch_seeds(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                instrument = await self._seeds.get()
                group.create_task(self._fetch_seed(instrument))

    async def _fetch_seed(self, instrument: Instrument) -> None:
        try:
            body = await self._rest.snapshot(instrument)
        except (ExchangeError, OSError, TimeoutError) as error:
            log.error("no snapshot", feed=self.name, symbol=instrument.symbol, channel="books", reason=str(error))
            return
        finally:
            self._queued.discard(instrument.key)
        self._writer.put(instrument.key, body, time.time_ns())
