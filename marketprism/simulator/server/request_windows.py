"""Count requests against the limits of exchanges whose windows begin at multiples of their length."""

import time


class RequestWindow:
    """A limit of `most` in each window of `seconds`, which begin at multiples of it.

    `used`: in the current window, which ends at `ends_at`, s since the epoch.
    """

    def __init__(self, most: int, seconds: int) -> None:
        self.used = 0
        self.ends_at = 0
        self._most = most
        self._seconds = seconds

    @property
    def left(self) -> int:
        """How much of the current window is left."""
        return max(self._most - self.used, 0)

    def spend(self, weight: int) -> int:
        """Count a weight; return the seconds to wait if that exceeds the limit, else 0."""
        now = int(time.time())
        if now >= self.ends_at:
            self.used, self.ends_at = 0, now - now % self._seconds + self._seconds
        self.used += weight
        return 0 if self.used <= self._most else self.ends_at - now
