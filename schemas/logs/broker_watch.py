"""Find out whether the broker is away, and say so once when it goes and once when it is back."""

import socket
import struct
import threading
import time
from collections.abc import Callable

import structlog

from schemas.logs.plain import error_text

log = structlog.get_logger(__name__)

# ApiVersions, version 0, which every broker answers: size, request, version, number, no client's name.
_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)
_ANSWERS_WITHIN = 5.0  # s
_EVERY = 0.5  # s between two probes of a broker that is away
_NOT_BEFORE = 1.0  # s after a probe that was answered
_PERSISTENT = 10.0  # s for which signs have to go on, although the broker answers, until they are logged
_AGAIN = 30.0  # s between two such lines


class BrokerWatch:
    """Watch of the broker at `kafka`, as the setting names it.

    It does nothing until something fails (`suspect`). Then a thread asks the broker for an answer. It is the only one,
    and it ends once there is an answer. So an outage ends when the broker answers, not when a client says so, and what
    clients report until they have recovered is no second outage.
    """

    def __init__(self, kafka: str, probe: Callable[[str], str] | None = None) -> None:
        self._kafka = kafka
        self._probe = probe or why_unavailable
        self._lock = threading.Lock()
        self._probing = self._is_retired = False
        self._probe_at = 0.0  # monotonic, as all of these; not before
        self._first_sign = self._last_sign = self._logged_at = float("-inf")

    def suspect(self, sign: str) -> None:
        """Note a sign of an outage. It returns at once, and may be called from any thread, as often as one likes."""
        now = time.monotonic()
        with self._lock:
            if now - self._last_sign > _PERSISTENT:
                self._first_sign = now
            self._last_sign = now
            if self._probing or now < self._probe_at:
                return
            self._probing = True
        try:
            threading.Thread(target=self._run, args=(sign,), name=f"broker watch {self._kafka}", daemon=True).start()
        except RuntimeError:  # no thread left: the next sign tries again
            self._probing = False

    def retire(self) -> None:
        """Watch no longer: another broker is used from now on."""
        self._is_retired = True

    def _run(self, sign: str) -> None:
        began = time.monotonic()
        if reason := self._probe(self._kafka):
            log.warning("broker unavailable", kafka=self._kafka, reason=reason)
            while not self._is_retired and self._probe(self._kafka):
                time.sleep(_EVERY)
            if self._is_retired:
                return
            log.warning("broker back", kafka=self._kafka, seconds=round(time.monotonic() - began, 1))
            self._last_sign = float("-inf")
        else:
            self._report_persistent(sign)
        with self._lock:
            self._probing = False
            self._probe_at = time.monotonic() + _NOT_BEFORE

    def _report_persistent(self, sign: str) -> None:
        now = time.monotonic()
        if now - self._first_sign >= _PERSISTENT and now - self._logged_at >= _AGAIN:
            self._logged_at = now
            log.warning("the broker answers, but not to everything", kafka=self._kafka, error=sign)


def why_unavailable(kafka: str) -> str:
    """Return why no broker answers at these addresses, or an empty string if one does."""
    reasons = []
    for address in kafka.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_WITHIN) as connection:
                connection.sendall(_REQUEST)
                if connection.recv(4):
                    return ""
            reasons.append("connection closed")
        except TimeoutError:
            reasons.append(f"no answer within {_ANSWERS_WITHIN:.0f} s")
        except (OSError, ValueError) as error:
            reasons.append(error_text(error))
    return "; ".join(dict.fromkeys(reasons))
