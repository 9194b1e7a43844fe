"""Report skipped entries and frames: each name and reason once, and a limited number in total."""

import structlog

log = structlog.get_logger(__name__)

MAX_REPORTS = 1000  # names and reasons per feed
_MAX_LENGTH = 200  # characters of either


class Skips:
    """Reporter of what one feed has skipped."""

    def __init__(self, feed: str, exchange: str) -> None:
        self._log = log.bind(feed=feed, exchange=exchange)
        self._reported: set[tuple[str, str]] = set()

    def report(self, name: str, reason: str) -> None:
        """Log a warning, unless the same name and reason were reported before."""
        skipped = name[:_MAX_LENGTH], reason[:_MAX_LENGTH]
        if skipped in self._reported or len(self._reported) > MAX_REPORTS:
            return
        self._reported.add(skipped)
        if len(self._reported) > MAX_REPORTS:
            self._log.warning("too many different entries are skipped: no more are reported", reported=MAX_REPORTS)
        else:
            self._log.warning("skipped", name=skipped[0], reason=skipped[1])
