"""Our own clock: when the exchanges agree that it is wrong, it is."""

import time

import structlog

log = structlog.get_logger(__name__)

_LATELY = 180.0  # s for which an exchange's word counts
_LEAST = 2  # feeds that must agree


class OwnClock:
    """Gathers what the feeds' clocks are ahead of ours, and reports each change once."""

    def __init__(self, limit_ms: int) -> None:
        self._limit = limit_ms * 1000
        self._offsets: dict[str, tuple[float, int]] = {}  # by feed: when (monotonic s), and µs
        self.wrong = False

    def compared(self, feed: str, offset: int, now: float | None = None) -> None:
        """`offset`: the exchange's clock minus ours, µs; `now`: monotonic s."""
        at = time.monotonic() if now is None else now
        self._offsets[feed] = at, offset
        lately = sorted(found for when, found in self._offsets.values() if at - when <= _LATELY)
        if len(lately) < _LEAST:
            return
        wrong = lately[0] > self._limit or lately[-1] < -self._limit
        if wrong and not self.wrong:
            middle = lately[len(lately) // 2] / 1e6
            log.error(
                f"our clock is off by {abs(middle):.1f} s",
                direction="behind" if middle > 0 else "ahead",
                feeds=len(lately),
                remedy="synchronise this machine's clock (NTP: `timedatectl set-ntp true`, chrony)",
            )
        elif self.wrong and not wrong:
            log.info("our clock is right again")
        self.wrong = wrong
