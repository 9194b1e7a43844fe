"""Log what a worker is assigned, what it has recovered, and when it has caught up.

A rebalance that leaves the assignment as it was, such as after an outage of the broker, is not logged.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from schemas.feeds import EXCHANGES
from schemas.keys import EVERY, input_partition_of, split_key
from schemas.logs import partition_names
from schemas.settings import Settings
from schemas.topics import raw_topic

log = structlog.get_logger(__name__)


class AssignmentLog:
    """Log of one worker's assignments to its source partitions. Changelogs and other partitions are none of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._assigned: set[Any] | None = None
        self._began = 0.0
        self._ends: Mapping[Any, int] = {}  # offsets to be reached; empty once they are
        self._passed: dict[Any, int] = {}
        self._records = 0

    def assigned(self, partitions: set[Any]) -> bool:
        """Note an assignment. Return whether it is another than before."""
        if partitions == self._assigned:
            return False
        self._assigned, self._began = partitions, time.monotonic()
        log.info("partitions assigned", partitions=len(partitions), which=partition_names(partitions))
        return True

    def recovered(self, keys: Iterable[str], ends: Mapping[Any, int]) -> None:
        """Note that the checkpoints are read. `keys`: of the books' table; `ends`: where the partitions end now."""
        found = [key for key in keys if self._is_ours(key)]
        checkpoints = sum(EVERY in key for key in found)
        log.info("books recovered", books=len(found) - checkpoints, checkpoints=checkpoints, seconds=self._seconds())
        self._ends, self._passed, self._records = ends, {}, 0

    def passed(self, partition: Any, offset: int) -> None:
        """Note that a record was processed."""
        if self._ends:
            self._passed[partition] = offset
            self._records += 1

    def check(self, committed: Mapping[Any, int | None]) -> None:
        """Log once when everything is processed that was there at the assignment."""
        if self._ends and all(self._is_reached(partition, committed) for partition in self._ends):
            log.info("caught up", records=self._records, seconds=self._seconds())
            self._ends = {}

    def _is_reached(self, partition: Any, committed: Mapping[Any, int | None]) -> bool:
        end = self._ends[partition]
        return self._passed.get(partition, -1) >= end - 1 or (committed.get(partition) or 0) >= end

    def _is_ours(self, key: str) -> bool:
        exchange, symbol = split_key(key)
        if exchange not in EXCHANGES:  # a failure, not a book
            return False
        if symbol.startswith(EVERY):
            partition = int(symbol.rpartition(":")[2])
        else:
            partition = input_partition_of(key, self._settings.partitions)
        return (self._settings.topic(raw_topic(exchange)), partition) in (self._assigned or ())

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 1)
