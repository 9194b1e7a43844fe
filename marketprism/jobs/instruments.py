"""Make ingest read the exchanges' listings without waiting for `instruments_refresh_s`."""

from marketprism.jobs.outcome import Outcome, Reporter
from marketprism.ops.control import ask_to_refresh
from schemas.settings import Settings


async def refresh_instruments(settings: Settings, reporter: Reporter) -> Outcome:
    """Send the request. What ingest finds is in `market.instruments` and `market.status`."""
    await ask_to_refresh(settings, settings.feeds)
    return Outcome(f"asked ingest for the listings of {', '.join(settings.feeds)}", {"feeds": len(settings.feeds)})
