"""Read an exchange's listing: at the start, periodically, and whenever it announces something."""

import asyncio
import itertools
import time
from collections.abc import Callable
from difflib import get_close_matches

import structlog

from ingest.definitions import Changes, Definitions
from ingest.exchanges.base import Connector
from ingest.exchanges.listing import Listing
from ingest.rest import Rest
from ingest.supervision import backoff_delay
from schemas.errors import ExchangeError
from schemas.symbols import Selection

_SUGGESTED = 5  # symbols that are not listed for which similar ones are named: to find them takes long
_GATHER = 1.0  # s for which announcements are collected before the definitions are read


class ListingReader:
    """Reader of one feed's listing. `announced` is set to have it read soon."""

    def __init__(
        self,
        connector: Connector,
        rest: Rest,
        selection: Selection,
        refresh_s: float,
        min_interval_s: float,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """`refresh_s`: seconds between two reads; `min_interval_s`: at least, however much is announced."""
        self.announced = asyncio.Event()
        self._connector = connector
        self._rest = rest
        self._selection = selection
        self._refresh_s = refresh_s
        self._min_interval_s = min_interval_s
        self._log = log
        self._definitions = Definitions()

    async def first(self) -> Listing:
        """Read the listing of the selected instruments, retrying until it succeeds. All in it are new."""
        self._definitions = Definitions()
        for attempt in itertools.count():
            try:
                found = await self._connector.instruments(self._rest, self._selection)
                if self._definitions.plausible(found):
                    break
                self._log.error("the exchange's listing is empty: retrying")
            except ExchangeError as error:
                self._log.error("cannot read the instrument definitions: retrying", error=str(error))
            await asyncio.sleep(backoff_delay(attempt))
        if missing := [symbol for symbol in self._selection.exact if symbol not in found]:
            near = {symbol: get_close_matches(symbol, found.others) for symbol in missing[:_SUGGESTED]}
            self._log.info("not listed by the exchange: continuing without them", symbols=missing, nearest=near)
        if self._selection.patterns:
            self._log.info("symbols selected by pattern", patterns=self._selection.patterns, symbols=len(found))
        for instrument in found.values():
            if instrument.status != "trading":
                self._log.warning("not trading at the moment", symbol=instrument.symbol, status=instrument.status)
        return found

    def compare(self, listing: Listing) -> Changes:
        """Return what a listing changes."""
        return self._definitions.compare(listing)

    async def run(self, on_changes: Callable[[Changes], None]) -> None:
        """Read the listing again, periodically and on announcements, until cancelled. Pass on what it changes."""
        read_at, wait = time.monotonic(), self._refresh_s
        while True:
            was_announced = await self._wait_for_announcement(max(read_at + wait - time.monotonic(), 0))
            read_at = time.monotonic()
            try:
                listing = await self._connector.instruments(self._rest, self._selection)
            except ExchangeError as error:
                self._log.warning("cannot refresh the instrument definitions: keeping the old ones", error=str(error))
            else:
                if self._definitions.plausible(listing):
                    on_changes(self.compare(listing))
                else:
                    self._log.warning("implausibly short listing: ignored", entries=dict(listing.sizes))
            # An instrument that is missing after an announcement was probably delisted: confirm that soon.
            soon = min(self._refresh_s, self._min_interval_s)
            wait = soon if was_announced and self._definitions.doubtful else self._refresh_s
            await asyncio.sleep(max(soon - (time.monotonic() - read_at), 0))

    async def _wait_for_announcement(self, seconds: float) -> bool:
        """Wait at most the given seconds for an announcement. Return whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self.announced.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(min(_GATHER, self._refresh_s))
        self.announced.clear()
        return True
