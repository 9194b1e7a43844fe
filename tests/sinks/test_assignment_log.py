"""What a sink logs of its assignments."""

from typing import Any, cast

from aiokafka import TopicPartition
from structlog.testing import capture_logs

from sinks.assignment_log import AssignmentLog
from sinks.partition_writer import PartitionWriter

FIRST, SECOND = TopicPartition("market.trades", 0), TopicPartition("market.trades", 1)


class Writer:
    """A writer as the log sees it."""

    def __init__(self) -> None:
        self.is_open = self.resumes = self.has_caught_up = False
        self.backlog = range(0)


def test_a_start() -> None:
    """The partitions, where their writers resume once all are open, and the end of the backlog, each once."""
    assignment, first, second = AssignmentLog(), Writer(), Writer()
    writers = cast(list[PartitionWriter], [first, second])
    with capture_logs() as logs:
        assignment.assigned([SECOND, FIRST])
        assignment.check(writers)
        first.is_open, first.resumes, first.backlog = True, True, range(90, 100)
        assignment.check(writers)
        second.is_open, second.backlog, second.has_caught_up = True, range(5), True
        assignment.check(writers)
        assignment.check(writers)
        assert [entry["event"] for entry in logs] == ["partitions assigned", "resuming"]
        first.has_caught_up = True
        assignment.check(writers)
        assignment.check(writers)
        assignment.assigned([FIRST, SECOND])  # after an outage of the broker
        assignment.check(writers)
    assert [_without_seconds(entry) for entry in logs] == [
        {"event": "partitions assigned", "partitions": 2, "which": "market.trades-0,1"},
        {"event": "resuming", "after_stored_rows": 1, "from_the_beginning": 1, "records": 15},
        {"event": "caught up", "records": 15},
    ]


def test_no_partitions() -> None:
    """A sink without partitions has nothing to catch up with."""
    assignment = AssignmentLog()
    with capture_logs() as logs:
        assignment.assigned([])
        assignment.check([])
    assert [_without_seconds(entry) for entry in logs] == [
        {"event": "partitions assigned", "partitions": 0, "which": ""}
    ]


def _without_seconds(entry: Any) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("seconds", "log_level")}
