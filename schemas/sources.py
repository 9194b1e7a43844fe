"""The `source` of an event: the line that caused it, and the order in which events of one origin are published.

    "<exchange>:<raw partition>:<raw offset>:<line>:<n>"      an event caused by a raw line; n counts its events
    "join:<partition>:<offset>:<line>:<n>"                     an event of the join; a signal's quotes name their own
    "sink-<topic>:<partition>:<offset>:0:0"                    a dead letter of the sink

The source comes first in every event's JSON. Within one topic partition, the sources of one (origin, origin's
partition) only grow. An event at or below the highest one seen is a duplicate, published again after a crash, and
equal to the first.
"""

from collections.abc import Iterable

_HEAD = b'{"source":"'
_START = len(_HEAD)
_LONGEST = 256  # bytes; a longer text is not a source

Position = tuple[int, int, int]  # offset, line, n
Order = tuple[int, str, int, str, int, str]


def split_source(source: str) -> tuple[str, list[int]]:
    """Split a source into its origin and [partition, offset, line, n], which compare in order of publication.

    Raises `ValueError` if the text is not a source.
    """
    origin, partition, offset, line, n = source.split(":")
    return origin, [int(partition), int(offset), int(line), int(n)]


def order_of(source: str) -> tuple[str, Order]:
    """Return a source's origin with its partition, and what orders the sources of one origin.

    Digits without leading zeros are in order of their numbers if longer texts come last. To convert them costs twice as
    much. Raises `ValueError` if the text is not a source.
    """
    origin, offset, line, n = source.rsplit(":", 3)
    return origin, (len(offset), offset, len(line), line, len(n), n)


def source_of(event: bytes) -> bytes:
    """Return the source at the beginning of an event's JSON, or nothing if there is none."""
    end = event.find(b'"', _START)
    return event[_START:end] if event.startswith(_HEAD) and end > 0 else b""


class SeenSources:
    """Highest source seen of each origin and its partition, in one topic partition."""

    def __init__(self, highest: Iterable[bytes] = ()) -> None:
        self._highest: dict[bytes, Position] = {}
        for source in highest:
            self._advance(source)

    def is_new(self, event: bytes) -> bool:
        """Return whether the event is newer than all seen from its origin.

        Events without a source count as new: ClickHouse rejects them.
        """
        source = source_of(event)
        return not source or self._advance(source)

    def _advance(self, source: bytes) -> bool:
        if len(source) > _LONGEST:
            return True
        try:
            origin, offset, line, n = source.rsplit(b":", 3)
            position = int(offset), int(line), int(n)
        except ValueError:
            return True
        highest = self._highest.get(origin)
        if highest is not None and position <= highest:
            return False
        self._highest[origin] = position
        return True
