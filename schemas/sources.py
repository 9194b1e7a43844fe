"""The repetition rule: events published again after a crash are recognised by their source (see schemas.events)."""

from collections.abc import Iterable

_HEAD = b'{"source":"'
_START = len(_HEAD)
_LONGEST = 256  # bytes of a source; what is longer is no source

Place = tuple[int, int, int]  # raw offset, line, n


def source_of(value: bytes) -> bytes:
    """The source that stands first in an event's JSON; empty where there is none."""
    end = value.find(b'"', _START)
    return value[_START:end] if value.startswith(_HEAD) and end > 0 else b""


class SeenSources:
    """The highest source seen of each origin and raw partition, in one topic partition."""

    def __init__(self, highest: Iterable[bytes] = ()) -> None:
        self._highest: dict[bytes, Place] = {}
        for source in highest:
            self._advance(source)

    def is_new(self, value: bytes) -> bool:
        """Whether the event is above all before it. What names no source is ClickHouse's to refuse: it is new."""
        source = source_of(value)
        return not source or self._advance(source)

    def _advance(self, source: bytes) -> bool:
        if len(source) > _LONGEST:
            return True
        try:
            origin, offset, line, n = source.rsplit(b":", 3)
            place = int(offset), int(line), int(n)
        except ValueError:
            return True
        highest = self._highest.get(origin)
        if highest is not None and place <= highest:
            return False
        self._highest[origin] = place
        return True
