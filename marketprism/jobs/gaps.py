"""Fill the holes of the last day, as `marketprism gaps --fill` does."""

import time
from collections import Counter

from marketprism.backfill import SHARE
from marketprism.backfill.fill import fill
from marketprism.backfill.holes import Span
from marketprism.backfill.ledger import ledger
from marketprism.jobs.outcome import Outcome, Reporter
from schemas.settings import Settings

_DAY = 86_400_000_000  # µs


async def fill_gaps(settings: Settings, reporter: Reporter) -> Outcome:
    """Fill what the exchanges offer of what is missing, and count what is left."""
    now = time.time_ns() // 1000
    span = Span(now - _DAY, now)
    before = await ledger(settings, span)
    await fill(settings, before, SHARE, reporter.show, reporter.say)
    after = await ledger(settings, span)
    missing = Counter(entry.state for entry in before)["missing"]
    states = Counter(entry.state for entry in after)
    figures = {
        "missing": missing,
        "filled": max(missing - states["missing"], 0),
        "still_missing": states["missing"],
        "lost": states["lost"],
    }
    return Outcome(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in figures.items()), figures)
