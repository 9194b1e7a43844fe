"""What a worker logs of its assignments."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from schemas.settings import load_settings
from streams.assignment_log import AssignmentLog

SETTINGS = load_settings(partitions=2)
FIRST, SECOND = TopicPartition("raw.okx", 0), TopicPartition("raw.okx", 1)
JOIN = TopicPartition("join.quotes", 0)
# Of two partitions of the raw topic, BTC-USDT is in 0; by murmur2 it would be in 1.
KEYS = ["okx:BTC-USDT", "okx:*:0", "okx:*:1", "binance:BTC-USDT", "failure:raw.okx:0"]


@pytest.fixture
def assignment() -> AssignmentLog:
    return AssignmentLog(SETTINGS)


def test_a_start(assignment: AssignmentLog) -> None:
    """The partitions, the books of the assigned ones, and the end of the backlog, each once."""
    with capture_logs() as logs:
        assert assignment.assigned({FIRST, JOIN})
        assignment.recovered(KEYS, {FIRST: 10, JOIN: 0})
        assignment.check({})
        for offset in range(5, 10):
            assignment.passed(FIRST, offset)
            assignment.check({JOIN: None})
        assignment.passed(FIRST, 10)
        assignment.check({})
    assert [_without_seconds(entry) for entry in logs] == [
        {"event": "partitions assigned", "partitions": 2, "which": "join.quotes-0 raw.okx-0"},
        {"event": "books recovered", "books": 1, "checkpoints": 1},
        {"event": "caught up", "records": 5},
    ]


@pytest.mark.parametrize(
    ("ends", "committed", "reached"),
    [
        ({FIRST: 10}, {FIRST: 10}, True),  # nothing is left to be read
        ({FIRST: 0}, {}, True),  # nothing was ever written
        ({FIRST: 10}, {FIRST: 9}, False),
        ({FIRST: 10}, {FIRST: None}, False),
        ({FIRST: 10, SECOND: 1}, {FIRST: 10}, False),
    ],
)
def test_no_backlog(
    assignment: AssignmentLog, ends: dict[Any, int], committed: Mapping[Any, int | None], reached: bool
) -> None:
    """Without a record, a partition has caught up if everything was committed before."""
    assignment.assigned({FIRST, SECOND})
    assignment.recovered([], ends)
    with capture_logs() as logs:
        assignment.check(committed)
    assert [entry["event"] for entry in logs] == ["caught up"] * reached


def test_rebalances(assignment: AssignmentLog) -> None:
    """One that changes nothing is not logged; one that takes all partitions away is."""
    with capture_logs() as logs:
        assert assignment.assigned({FIRST})
        assert not assignment.assigned({FIRST})
        assert assignment.assigned(set())
        assert assignment.assigned({FIRST})
    assert [entry["partitions"] for entry in logs] == [1, 0, 1]


def _without_seconds(entry: Any) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("seconds", "log_level")}
