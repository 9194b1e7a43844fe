"""Run the jobs on their schedules (`python -m marketprism.jobs`) until SIGINT or SIGTERM."""

import asyncio
import os
import sys

import structlog

from marketprism.captures.stopping import unless_stopped
from marketprism.jobs.scheduler import run_jobs
from schemas.errors import MarketPrismError
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings

log = structlog.get_logger("marketprism.jobs")


async def _run(settings: Settings) -> None:
    await unless_stopped(run_jobs(settings))
    log.info("stopped")
    os._exit(0)  # else a query that goes on in a thread would be waited for


def main() -> int:
    try:
        settings = load_settings()
        configure_logs(settings)
        asyncio.run(_run(settings))
    except MarketPrismError as error:
        sys.stderr.write(f"marketprism jobs: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
