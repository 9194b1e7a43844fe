"""Trades that come twice: while one connection takes over from another, both bring them."""

_TAKEOVER = 60_000_000  # µs that a takeover may last
_LATE = 10_000_000  # µs after its end in which one of the two may still bring what the other has brought


class SeenTrades:
    """Remembers ids only while that can happen; times are µs of stream time."""

    __slots__ = ("_ids", "_until")

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self._until = 0

    def __bool__(self) -> bool:
        return self._until > 0

    def begin(self, now: int) -> None:
        """A second connection is about to be subscribed."""
        self._until = now + _TAKEOVER

    def end(self, now: int) -> None:
        """There is one connection again."""
        if self._until:
            self._until = now + _LATE

    def tick(self, now: int) -> None:
        if now > self._until:
            self._ids, self._until = {}, 0

    def is_new(self, trade_id: str) -> bool:
        if trade_id in self._ids:
            return False
        self._ids[trade_id] = None
        return True

    def dump(self) -> list[object]:
        return [self._until, *self._ids]

    def load(self, dump: list[object]) -> None:
        until, *ids = dump
        assert isinstance(until, int)
        self._until, self._ids = until, dict.fromkeys(map(str, ids))
