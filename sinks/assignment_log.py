"""Log what a sink is assigned, where it resumes, and when it has caught up.

A rebalance that leaves the assignment as it was, such as after an outage of the broker, is not logged.
"""

import time
from collections.abc import Collection
from typing import Any

import structlog

from schemas.logs import partition_names
from sinks.partition_writer import PartitionWriter

log = structlog.get_logger(__name__)


class AssignmentLog:
    """Log of one sink's assignments."""

    def __init__(self) -> None:
        self._assigned: set[Any] | None = None
        self._began = 0.0
        self._opening = self._behind = False  # what is still to be logged

    def assigned(self, partitions: Collection[Any]) -> None:
        """Note an assignment."""
        if set(partitions) == self._assigned:
            return
        self._assigned, self._began = set(partitions), time.monotonic()
        self._opening = self._behind = bool(partitions)
        log.info("partitions assigned", partitions=len(partitions), which=partition_names(partitions))

    def check(self, writers: Collection[PartitionWriter]) -> None:
        """Log once where the writers resume, and once that they have stored what was there then."""
        if self._opening and all(writer.is_open for writer in writers):
            self._opening = False
            resuming = sum(writer.resumes for writer in writers)
            log.info(
                "resuming",
                after_stored_rows=resuming,
                from_the_beginning=len(writers) - resuming,
                records=_backlog(writers),
            )
        if self._behind and not self._opening and all(writer.has_caught_up for writer in writers):
            self._behind = False
            seconds = round(time.monotonic() - self._began, 1)
            log.info("caught up", records=_backlog(writers), seconds=seconds)


def _backlog(writers: Collection[PartitionWriter]) -> int:
    """Return how many records were waiting when the writers were opened."""
    return sum(len(writer.backlog) for writer in writers)
