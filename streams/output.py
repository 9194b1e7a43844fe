"""What one raw record causes: encoded events by topic, and the quotes for the join, all with their source."""

import base64
from collections import defaultdict
from typing import Any

import orjson

from schemas.raw import partition_of
from schemas.topics import CONTROL, DEAD_LETTERS

MAX_DEAD_FRAME = 262_144  # characters of a frame that a dead letter repeats; its source leads to all of it


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
        body = {
            "request": "snapshot",
            "exchange": exchange,
            "symbol": symbol,
            "reason": reason,
            "timestamp": now,
        }
        self.records.append((CONTROL, f"{exchange}:{symbol}".encode(), orjson.dumps(body)))

    def dead_letter(self, exchange: str, symbol: str, now: int, topic: str, reason: str, frame: bytes) -> None:
        encoding, text = _readable(frame[:MAX_DEAD_FRAME])
        body = {
            "source": self.source(),
            "exchange": exchange,
            "symbol": symbol,
            "local_timestamp": now,
            "topic": topic,
            "reason": reason,
            "encoding": encoding,
            "frame": text,
            "frame_bytes": len(frame),
        }
        self.event(DEAD_LETTERS, f"{exchange}:{symbol}".encode(), body)


def _readable(frame: bytes) -> tuple[str, str]:
    try:
        return "text", frame.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(frame).decode()
