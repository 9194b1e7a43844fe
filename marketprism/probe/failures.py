"""Decide whether a failure means that the exchange has changed, or only that it cannot be reached from here."""

import re

from ingest.uplink_failures import REST_ERRORS
from marketprism.probe.cell import Failure
from schemas.errors import ExchangeError, RejectedError
from schemas.markers import Markers, RateLimited, RestDown, RestUp

# The errors of REST and of sockets name the status only in their text.
_STATUS = re.compile(r"\b(?:returned|HTTP) (\d{3})\b")
_REFUSED = frozenset({401, 403, 407, 408, 418, 425, 429, 451})
"""Statuses of clients that are not served for now, or not from here."""


class RestHealth:
    """Knows whether a feed's REST host can be reached: `mark` takes the markers of its client."""

    def __init__(self) -> None:
        self._trouble = ""  # why the host is sent no requests

    def mark(self, marker: Markers) -> None:
        """Note that the host is down, or up again, or asks to be left alone."""
        if isinstance(marker, RestDown | RestUp):
            self._trouble = marker.reason if isinstance(marker, RestDown) else ""
        elif isinstance(marker, RateLimited):
            self._trouble = f"rate limited for {marker.seconds:g} s: HTTP {marker.status}"

    def failure_of(self, error: ExchangeError) -> Failure:
        """Return the failure of a request that raised an error."""
        if isinstance(error, RejectedError):  # the host has answered
            return Failure(str(error), not _is_refused(str(error)))
        is_unreachable = bool(self._trouble) or isinstance(error.__cause__, REST_ERRORS)
        return Failure(self._trouble or str(error), not is_unreachable and not _is_refused(str(error)))

    def timeout(self, seconds: float) -> Failure:
        """Return the failure of a request that has had no answer for so long."""
        return Failure(self._trouble or f"no answer within {seconds:g} s", changed=False)


def socket_failure(reason: str) -> Failure:
    """Return the failure of a socket. Only a path that does not exist is a change."""
    found = _STATUS.search(reason)
    return Failure(reason, found is not None and found[1].startswith("4") and not _is_refused(reason))


def _is_refused(reason: str) -> bool:
    found = _STATUS.search(reason)
    return found is not None and int(found[1]) in _REFUSED
