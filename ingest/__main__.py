"""`python -m ingest`: the ingest process of the settings' feeds."""

import asyncio
import contextlib
import signal

from ingest.app import run_ingest
from schemas.errors import MarketPrismError
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings


async def _until_stopped(settings: Settings) -> None:
    task = asyncio.ensure_future(run_ingest(settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM."""
    configure_logs(settings)
    asyncio.run(_until_stopped(settings))


if __name__ == "__main__":
    try:
        main(load_settings())
    except MarketPrismError as error:
        raise SystemExit(str(error)) from None
