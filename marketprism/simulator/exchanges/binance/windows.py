"""Count requests against Binance's limits."""

import time


class RequestWindow:
    """A limit of `most` in each window of `seconds`, which begin at multiples of it."""

    def __init__(self, most: int, seconds: int) -> None:
        self.used = 0
        self._most = most
        self._seconds = seconds
        self._window = 0

    def spend(self, weight: int) -> int:
        """Count a weight; return the seconds to wait if that exceeds the limit, else 0."""
        window, second = divmod(int(time.time()), self._seconds)
        self.used = weight + (self.used if window == self._window else 0)
        self._window = window
        return 0 if self.used <= self._most else self._seconds - second
