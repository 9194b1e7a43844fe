"""Run the sink process (`python -m sinks`). With an embedded ClickHouse it also serves SQL over HTTP."""

import asyncio
import contextlib
import signal
import sys

import structlog

from schemas.errors import MarketPrismError, StorageError
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings
from sinks.migrations import migrate
from sinks.sink import Sink
from sinks.storage.base import Storage
from sinks.storage.open import open_storage

_RETRY_S = 2.0  # between connection attempts at the start

log = structlog.get_logger("sinks")


async def run(settings: Settings) -> None:
    """Migrate the schema, then store events and serve SQL until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    storage = await asyncio.to_thread(open_storage, settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(storage.close)
        if not await _wait_for_clickhouse(storage, stop):
            return
        await asyncio.to_thread(migrate, storage, settings)
        if settings.clickhouse.startswith("chdb://"):
            from sinks.sql.http_server import SqlServer

            server = SqlServer(settings, storage)
            stack.push_async_callback(server.stop)
            await server.start()
        sink = Sink(settings, storage)
        stopping = asyncio.create_task(_stop_on(stop, sink))
        try:
            await sink.run()
        finally:
            stopping.cancel()
    log.info("stopped")


async def _stop_on(stop: asyncio.Event, sink: Sink) -> None:
    await stop.wait()
    log.info("stopping")
    sink.stop()


async def _wait_for_clickhouse(storage: Storage, stop: asyncio.Event) -> bool:
    """Wait until ClickHouse answers. Return False when `stop` is set first."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(storage.query, "SELECT 1")
        except StorageError as error:
            log.warning("waiting for ClickHouse", reason=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_S)
        else:
            return True
    return False


def main() -> int:
    try:
        settings = load_settings()
        configure_logs(settings)
        asyncio.run(run(settings))
    except MarketPrismError as error:
        sys.stderr.write(f"marketprism sink: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
