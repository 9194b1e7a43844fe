"""Report what is skipped: once for each name and reason, and boundedly often."""

import structlog

log = structlog.get_logger(__name__)

MOST = 1000  # names and reasons per feed
_LONGEST = 200  # characters of either


class Skips:
    """What one feed has skipped so far."""

    def __init__(self, feed: str, exchange: str) -> None:
        self._log = log.bind(feed=feed, exchange=exchange)
        self._told: set[tuple[str, str]] = set()

    def report(self, name: str, reason: str) -> None:
        """Warn, unless the same was reported before."""
        what = name[:_LONGEST], reason[:_LONGEST]
        if what in self._told or len(self._told) > MOST:
            return
        self._told.add(what)
        if len(self._told) > MOST:
            self._log.warning("too many different entries are skipped: no more are reported", reported=MOST)
        else:
            self._log.warning("skipped", name=what[0], reason=what[1])
