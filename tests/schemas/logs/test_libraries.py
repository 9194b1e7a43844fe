"""What the Kafka libraries log: signs of an outage are folded, what is normal is dropped, the rest is one line."""

import logging
from typing import Any

import pytest

from schemas.logs.libraries import LibraryFilter, from_library

SIGNS = [
    ("aiokafka", "Unable connect to node with id %s: %s", (1, "refused")),
    ("aiokafka", "Unable to update metadata from %s", ([1],)),
    ("aiokafka.consumer.group_coordinator", "Group Coordinator Request failed: %s", ("x",)),
    ("aiokafka.consumer.group_coordinator", "Heartbeat failed: local member_id was not recognized;", ()),
    ("aiokafka.consumer.fetcher", "Failed fetch messages from %s: %s", (1, "x")),
    ("aiokafka.producer.sender", "Got error produce response: %s", ("x",)),
    ("faust.transport.drivers.aiokafka", "[^--_Consumer]: Aiokafka stopped fetching from %r\nmore", (1,)),
]  # fmt: skip
NORMAL = [
    ("aiokafka.consumer.group_coordinator", "Heartbeat failed for group %s because it is rebalancing", ("g",)),
    ("faust.tables.recovery", "[^---Recovery]: Recovery rebalancing again", ()),
    ("mode.timers", "Timer %s is overlapping (interval=%r runtime=%r)", ("t", 1, 2)),
]
OTHERS = [
    ("aiokafka.consumer.fetcher", "Not authorized to read from topic %s.", ("t",)),
    ("faust.app.base", "[^-StreamsApp]: Crashed reason=%r", ("x",)),
    ("ingest.app", "Unable connect to node with id %s", (1,)),  # ours, whatever it says
]


def record(name: str, message: str, arguments: tuple[Any, ...], level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, message, arguments, None)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(
    ("rows", "kept", "suspected"), [(SIGNS, False, True), (NORMAL, False, False), (OTHERS, True, False)]
)
def test_rows(rows: list[Any], kept: bool, suspected: bool, everything: bool) -> None:
    """A sign of an outage is passed on. It and what is normal are kept back, except with `everything`, at DEBUG."""
    for row in rows:
        signs: list[str] = []
        assert LibraryFilter(signs.append, everything).filter(record(*row)) is (kept or everything), row
        assert len(signs) == suspected, row


def test_a_sign_is_one_plain_line() -> None:
    """The sign is the first line, without the name of the service."""
    signs: list[str] = []
    LibraryFilter(signs.append, False).filter(record(*SIGNS[-1]))
    assert signs == ["Aiokafka stopped fetching from 1"]


def test_other_errors_of_libraries() -> None:
    """Any other error of a library is one line with the error's text; an error of asyncio keeps its traceback."""
    error = ValueError("bad")
    cause = (ValueError, error, None)
    message = "[^---Agent: streams.worker.Worker.age[.]read]: Crashed reason=ValueError('bad')\n  details"
    event = {"event": message, "exc_info": cause, "_record": record("mode.services", "", ())}
    made = from_library(None, "", event)
    assert made["event"] == "Crashed reason=ValueError bad"
    assert made["error"] == "bad"
    assert "exc_info" not in made
    asyncios = {"event": "Task exception\nfuture: <Task>", "exc_info": cause, "_record": record("asyncio", "", ())}
    assert from_library(None, "", asyncios)["exc_info"] == cause
