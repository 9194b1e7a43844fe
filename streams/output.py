"""What one raw record causes: encoded events by topic, and the quotes for the join, all with their source."""

from collections import defaultdict
from typing import Any

import orjson

from schemas.control import SnapshotRequest, encode_request
from schemas.dead_letters import dead_letter
from schemas.instruments import Instrument
from schemas.keys import key_of, partition_of
from schemas.limits import MAX_DEAD_FRAME
from schemas.topics import CONTROL, DEAD_LETTERS

Record = tuple[str, bytes | None, bytes]  # topic, without its prefix, key and value of what is to be published


class Output:
    """Collects while a raw record is processed. `begin` starts a line; every event takes the line's next source."""

    __slots__ = ("_line", "_n", "_origin", "_partitions", "joins", "records")

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._origin = ""
        self._line = self._n = 0
        self.records: list[Record] = []
        self.joins: defaultdict[int, list[bytes]] = defaultdict(list)

    def begin(self, origin: str, line: int) -> None:
        """`origin` is `<exchange>:<partition>:<offset>`."""
        self._origin, self._line, self._n = origin, line, 0

    def source(self) -> str:
        source = f"{self._origin}:{self._line}:{self._n}"
        self._n += 1
        return source

    def head(self, instrument: Instrument, timestamp: int, now: int) -> dict[str, Any]:
        """The fields that every market event begins with. µs; `now` is the receipt."""
        source = f"{self._origin}:{self._line}:{self._n}"  # as `source` does; a call for each event takes its time
        self._n += 1
        return {
            "source": source,
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "timestamp": timestamp,
            "local_timestamp": now,
        }

    def event(self, topic: str, key: bytes, body: dict[str, Any]) -> bytes:
        value = orjson.dumps(body)
        self.records.append((topic, key, value))
        return value

    def join(self, symbol: str, line: bytes) -> None:
        """A line for the join's partition of that symbol."""
        self.joins[partition_of(symbol, self._partitions)].append(line)

    def join_all(self, line: bytes) -> None:
        """A line for every partition of the join."""
        for partition in range(self._partitions):
            self.joins[partition].append(line)

    def request_snapshot(self, exchange: str, symbol: str, reason: str, now: int) -> None:
        """Ask ingest for one instrument's snapshot. `now`: µs of stream time, so that a replay's requests look old."""
        request = SnapshotRequest(exchange, symbol, reason, now)
        self.records.append((CONTROL, key_of(exchange, symbol).encode(), encode_request(request)))

    def dead_letter(
        self,
        exchange: str,
        symbol: str,
        now: int,
        topic: str,
        reason: str,
        frame: bytes,
        most: int = MAX_DEAD_FRAME,
    ) -> None:
        """What could not be understood, and why. `most`: bytes of the frame that it repeats."""
        body = dead_letter(exchange, symbol, now, topic, reason, frame, most)
        self.event(DEAD_LETTERS, key_of(exchange, symbol).encode(), {"source": self.source()} | body)
