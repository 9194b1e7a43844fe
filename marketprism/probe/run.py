"""Probe several feeds at the same time."""

import asyncio
from typing import Any

from ingest.rest import RestPool
from marketprism.probe.cell import WORST, Result
from marketprism.probe.feed import FeedProbe
from schemas.settings import Settings

_SHARE = 0.25  # of the exchanges' limits: an ingest may run beside it


class Probe:
    """Probe of the settings' feeds. `feeds` has the results so far, at any time."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        self.feeds: list[FeedProbe] = []
        self._settings = settings
        self._seconds = seconds

    async def run(self) -> None:
        """Probe all feeds, until they are done or it is cancelled."""
        async with RestPool(self._settings.rest_connections, _SHARE) as pool:
            self.feeds = [FeedProbe(name, self._settings, self._seconds, pool) for name in self._settings.feeds]
            await asyncio.gather(*(feed.run() for feed in self.feeds))

    @property
    def result(self) -> Result:
        """The worst verdict of all feeds; `unknown` before they have begun."""
        results = {feed.result for feed in self.feeds} or {"unknown"}
        return next(each for each in WORST if each in results)

    def as_dict(self) -> dict[str, Any]:
        """Return the results as they are printed as JSON."""
        return {"verdict": self.result, "feeds": [feed.as_dict() for feed in self.feeds]}
