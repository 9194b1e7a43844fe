"""Read one topic partition's records: choose, drop duplicates, decode."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import ClassVar, Generic, Protocol, TypeVar

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from marketprism.client.selection import Instruments
from marketprism.client.span import Span
from schemas.errors import EventError
from schemas.keys import split_key
from schemas.sources import Order, order_of

_SECOND = 1_000_000
_PAST = 10 * _SECOND  # µs by which events of one exchange may be out of order
NEVER = 1 << 62  # µs


class Event(Protocol):
    """What all events have."""

    topic_name: ClassVar[str]

    @property
    def source(self) -> str:
        """The line that caused the event."""

    @property
    def local_timestamp(self) -> int:
        """Receipt by ingest, µs since the epoch."""


E = TypeVar("E", bound=Event)
Decode = Callable[[bytes], E | None]  # None: leave the record out


class _Stamp(msgspec.Struct, gc=False):
    local_timestamp: int


_stamp_of = msgspec.json.Decoder(_Stamp).decode


class Wanted(dict[bytes | None, bool]):
    """Whether the events of a key are wanted, remembered by key."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def __missing__(self, key: bytes | None) -> bool:
        found = self[key] = key is not None and key in self._instruments
        return found


class Place(Generic[E]):
    """One topic partition. `reached`: up to which time of receipt it was read, µs.

    `position`: offset of the next record. Events wait in it until all other partitions have reached their time.
    """

    def __init__(
        self, at: TopicPartition, decode: Decode[E], wanted: Wanted, exchanges: Iterable[str], span: Span
    ) -> None:
        self.at = at
        self.position = self.reached = 0
        self._decode = decode
        self._wanted = wanted
        self._highest: dict[str, Order] = {}  # source seen, by origin
        self._first, self._end = span.start or 0, span.end or NEVER
        self._inside = set(exchanges)  # those that have not passed the end of the span
        self._waiting: list[tuple[int, E]] = []
        self._latest: dict[str, int] = {}  # time of the last event that waits or waited, µs, by exchange

    @property
    def has_passed(self) -> bool:
        """Whether all exchanges have passed the end of the span."""
        return not self._inside

    def events(self, records: list[ConsumerRecord]) -> Iterator[E]:
        """Yield the wanted events of the next records, each once; read it to its end.

        Each event is decoded when it is asked for, so that a batch is never in memory as a whole.
        """
        wanted, highest, decode, first, end = self._wanted, self._highest, self._decode, self._first, self._end
        try:
            for record in records:
                if wanted[record.key]:
                    event = decode(record.value)
                    if event is None:
                        continue
                    origin, order = order_of(event.source)
                    if order <= highest.get(origin, ()):
                        continue  # published again after a crash
                    highest[origin] = order
                    if first <= event.local_timestamp < end:
                        yield event
                    elif event.local_timestamp >= end + _PAST:
                        self._inside.discard(split_key(record.key.decode())[0])
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._unusable(record, error) from None
        self.position = records[-1].offset + 1

    def _unusable(self, record: ConsumerRecord, error: Exception) -> EventError:
        place = f"{record.topic}-{record.partition}@{record.offset}"
        return EventError(f"{place} is not an event of this version of the client: {error}")

    def hold(self, records: list[ConsumerRecord]) -> None:
        """Let the events of the next records wait."""
        latest = self._latest
        for event in self.events(records):
            # An event with an earlier time than its predecessor (from another connection) still follows it.
            exchange = event.source.partition(":")[0]
            due = latest[exchange] = max(latest.get(exchange, 0), event.local_timestamp)
            self._waiting.append((due, event))
        self.reached = max(self.reached, *latest.values(), _stamp_of(records[-1].value).local_timestamp)

    def release(self, until: int = NEVER) -> list[tuple[int, E]]:
        """Return the waiting events up to a time, in order, each with the time at which it is due, µs."""
        self._waiting.sort(key=itemgetter(0))
        count = bisect_right(self._waiting, until, key=itemgetter(0))
        released, self._waiting = self._waiting[:count], self._waiting[count:]
        return released
