"""Measure what a connection receives."""

import time

from ingest.connection import Connection


class Throughput:
    """Frames and bytes per second of one logical connection, between the last two measurements."""

    def __init__(self) -> None:
        self.frames = self.bytes = 0.0
        self._connection: Connection | None = None
        self._counted = 0, 0
        self._at = time.monotonic()

    def measure(self, connection: Connection | None) -> None:
        """Measure since the last call. `connection`: the active one; one that has replaced another counts whole."""
        now, (frames, bytes_) = time.monotonic(), self._counted if connection is self._connection else (0, 0)
        self._counted = (connection.reader.frames, connection.reader.bytes) if connection is not None else (0, 0)
        seconds = max(now - self._at, 1e-3)
        self.frames, self.bytes = (self._counted[0] - frames) / seconds, (self._counted[1] - bytes_) / seconds
        self._connection, self._at = connection, now
