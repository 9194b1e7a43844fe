"""Remember which candles a delisting has closed: the instrument may be listed again before they would have ended."""

_KEPT = 3_600_000_000  # µs after the last of an instrument's candles would have ended: trades may be late
_MOST = 1_000  # instruments of one partition

Ends = dict[str, int]  # by interval, the end of the last candle that a delisting has closed, µs of the exchange's time


class Delisted:
    """Candles of the delisted instruments of one partition."""

    def __init__(self) -> None:
        self._ends: dict[str, Ends] = {}

    def keep(self, key: str, ends: Ends, now: int) -> None:
        """Remember an instrument's candles, and forget those that nothing can be added to any more."""
        self._ends.pop(key, None)
        self._ends = {key: ends for key, ends in self._ends.items() if max(ends.values()) > now - _KEPT}
        if ends:
            self._ends[key] = ends
        if len(self._ends) > _MOST:
            del self._ends[next(iter(self._ends))]

    def ends_of(self, key: str) -> Ends:
        """Return what was closed of an instrument. It stays known: after a crash, the same lines are read again."""
        return self._ends.get(key, {})

    def dump(self) -> dict[str, Ends]:
        """Return the state for a checkpoint."""
        return self._ends

    def load(self, dump: dict[str, Ends]) -> None:
        """Restore the state of a checkpoint."""
        self._ends = dump
