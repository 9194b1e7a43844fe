"""Detect that our own clock is wrong: the exchanges' clocks agree with each other, but not with ours."""

import time

import structlog

log = structlog.get_logger(__name__)

_MAX_AGE = 180.0  # s for which a comparison with an exchange's clock counts
_MIN_FEEDS = 2  # feeds that must agree


class OwnClock:
    """Monitor of our clock. It collects the feeds' clock offsets, and logs once when they show ours to be off, or on.

    `wrong`: whether our clock counts as wrong.
    """

    def __init__(self, limit_ms: int) -> None:
        """`limit_ms`: offsets up to this many ms are accepted."""
        self._limit = limit_ms * 1000
        self._offsets: dict[str, tuple[float, int]] = {}  # by feed: when (monotonic s), and µs
        self.wrong = False

    def on_offset(self, feed: str, offset: int, now: float | None = None) -> None:
        """Add a comparison. `offset`: the exchange's clock minus ours, µs; `now`: monotonic s."""
        at = time.monotonic() if now is None else now
        self._offsets[feed] = at, offset
        recent = sorted(found for when, found in self._offsets.values() if at - when <= _MAX_AGE)
        if len(recent) < _MIN_FEEDS:
            return
        wrong = recent[0] > self._limit or recent[-1] < -self._limit
        if wrong and not self.wrong:
            middle = recent[len(recent) // 2] / 1e6
            log.error(
                f"our clock is off by {abs(middle):.1f} s",
                direction="behind" if middle > 0 else "ahead",
                feeds=len(recent),
                remedy="synchronise this machine's clock (NTP: `timedatectl set-ntp true`, chrony)",
            )
        elif self.wrong and not wrong:
            log.info("our clock is right again")
        self.wrong = wrong
