"""What is logged is free of Python's representations."""

import errno
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, NodeNotReadyError

from schemas.control import SnapshotRequest
from schemas.logs.plain import error_text, joined, partition_names, plain, plain_values, tidy

REQUEST = SnapshotRequest(exchange="okx", symbol="BTC-USDT", reason="gap", timestamp=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (1.5, 1.5),
        ("it's <as is>", "it's <as is>"),
        (TopicPartition("market.trades", 3), "market.trades-3"),
        ({TopicPartition("b", 0), TopicPartition("a", 1)}, ["a-1", "b-0"]),
        (("x", [1, b"\xff"]), ["x", [1, "�"]]),
        ({TopicPartition("a", 1): ValueError("bad")}, {"a-1": "bad"}),
        (frozenset(), []),
        (Path("/tmp/x"), "/tmp/x"),
        (NodeNotReadyError, "NodeNotReadyError"),
        (object(), "object"),
        (REQUEST, "SnapshotRequest"),
    ],
)
def test_values(value: Any, expected: Any) -> None:
    """A value is text, a number, or lists and objects of those."""
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad"), "bad"),
        (ValueError(), "ValueError"),
        (TimeoutError(), "TimeoutError"),
        (OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 9092)"), "Connection refused"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), "[Errno 2] No such file: 'x'"),
        (GroupCoordinatorNotAvailableError(), "[Error 15] GroupCoordinatorNotAvailableError"),
        (ExceptionGroup("two", [ValueError("a"), KeyError()]), "a; KeyError"),
    ],
)
def test_errors(error: BaseException, expected: str) -> None:
    """An error is its text, or the name of its class if it says nothing."""
    assert error_text(error) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Revoking frozenset({TopicPartition(topic='a.b', partition=3)}) for x", "Revoking a.b-3 for x"),
        ("of {TP(topic='a', partition=1), TP(topic='b', partition=2)}", "of {a-1, b-2}"),
        ("Connect call failed ('127.0.0.1', 9092)", "Connect call failed 127.0.0.1:9092"),
        ("Connect call failed ('::1', 9092, 0, 0)", "Connect call failed ::1:9092"),
        ("Cannot send <class 'aiokafka.protocol.produce.ProduceRequest_v7'> to 1: NodeNotReadyError()",
         "Cannot send aiokafka.protocol.produce.ProduceRequest_v7 to 1: NodeNotReadyError"),
        ("failed: KafkaError('gone')", "failed: KafkaError gone"),
        ("future: <Task finished name='x' coro=<run() done> exception=ValueError('a b')>", "future: Task"),
        ("one\n\n  two\n", "one; two"),
        ("3 < 4 and 5 > 2 (see above)", "3 < 4 and 5 > 2 (see above)"),
    ],
)  # fmt: skip
def test_texts_of_libraries(text: str, expected: str) -> None:
    """What a library has written already is made plain, on one line."""
    assert tidy(text) == expected


def test_names_of_partitions() -> None:
    """Partitions are named by topic, in order."""
    partitions = [TopicPartition("b", 2), TopicPartition("b", 10), TopicPartition("a", 0)]
    assert partition_names(partitions) == "a-0 b-2,10"
    assert partition_names([]) == ""


def test_processors() -> None:
    """Values of an event become plain; lists and objects are written without brackets, unless it is JSON."""
    event = plain_values(None, "", {"event": "x", "of": (TopicPartition("a", 0), "b"), "by": {"k": [1]}, "n": 1})
    assert event == {"event": "x", "of": ["a-0", "b"], "by": {"k": [1]}, "n": 1}
    assert joined(None, "", event) == {"event": "x", "of": "a-0, b", "by": "k=1", "n": 1}
