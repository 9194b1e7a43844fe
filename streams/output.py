"""Collect what one raw record causes: encoded events by topic, and lines for the join, each with its source."""

from collections import defaultdict
from typing import Any

import orjson

from schemas.control import SnapshotRequest, encode_request
from schemas.dead_letters import dead_letter
from schemas.keys import input_partition_of, key_of
from schemas.limits import MAX_DEAD_FRAME
from schemas.topics import CONTROL, DEAD_LETTERS
from streams.subject import Subject

Record = tuple[str, bytes, bytes]  # topic without its prefix, key and value


class Output:
    """Output of one raw record. `begin` starts a line, and every event takes the line's next source.

    `now` is the receipt time of the line, µs.
    """

    __slots__ = ("_line", "_n", "_origin", "_partitions", "joins", "now", "records")

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._origin = ""
        self._line = self._n = 0
        self.now = 0
        self.records: list[Record] = []
        self.joins: defaultdict[int, list[bytes]] = defaultdict(list)

    def begin(self, origin: str, line: int, now: int = 0) -> None:
        """Start a line. `origin` is `<exchange>:<partition>:<offset>`."""
        self._origin, self._line, self._n, self.now = origin, line, 0, now

    def source(self) -> str:
        """Return the line's next source."""
        source = f"{self._origin}:{self._line}:{self._n}"
        self._n += 1
        return source

    def head(self, subject: Subject, timestamp: int) -> dict[str, Any]:
        """Return the fields that every market event begins with. `timestamp`: µs."""
        source = f"{self._origin}:{self._line}:{self._n}"  # inlined `source`: a call for each event costs too much
        self._n += 1
        return {
            "source": source,
            "exchange": subject.exchange,
            "symbol": subject.symbol,
            "timestamp": timestamp,
            "local_timestamp": self.now,
        }

    def event(self, topic: str, key: bytes, body: dict[str, Any]) -> bytes:
        """Add an event and return it encoded."""
        value = orjson.dumps(body)
        self.records.append((topic, key, value))
        return value

    def join(self, symbol: str, line: bytes) -> None:
        """Add a line for the join's partition of that symbol."""
        self.joins[input_partition_of(symbol, self._partitions)].append(line)

    def join_all(self, line: bytes) -> None:
        """Add a line for every partition of the join."""
        for partition in range(self._partitions):
            self.joins[partition].append(line)

    def request_snapshot(self, subject: Subject, reason: str) -> None:
        """Request one instrument's book snapshot from ingest."""
        request = SnapshotRequest(exchange=subject.exchange, symbol=subject.symbol, reason=reason, timestamp=self.now)
        self.records.append((CONTROL, subject.key, encode_request(request)))

    def dead_letter(
        self, exchange: str, symbol: str, topic: str, reason: str, frame: bytes, most: int = MAX_DEAD_FRAME
    ) -> None:
        """Add a dead letter. `most`: bytes of the frame that it repeats."""
        body = dead_letter(exchange, symbol, self.now, topic, reason, frame, most)
        self.event(DEAD_LETTERS, key_of(exchange, symbol).encode(), {"source": self.source()} | body)
