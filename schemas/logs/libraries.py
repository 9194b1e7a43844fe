"""What the Kafka libraries log, and what becomes of it.

Signs of a broker outage go to the `BrokerWatch`, what is normal is dropped, and everything else is one line without
objects' representations.
"""

import logging
import re
from collections.abc import Callable
from typing import Any

import structlog

from schemas.logs.plain import plain, tidy

LIBRARIES = ("aiokafka", "faust", "mode")

# By how their texts begin, after mode's name of the service.
_SIGNS_OF_OUTAGE = (
    # aiokafka: clients
    "Unable connect to",
    "Unable to request metadata from",
    "Unable to update metadata from",
    "No broker metadata found",
    "Error fetching metadata for topic",
    # consumers and their group
    "Failed fetch messages from",
    "Failed fetch offsets from",
    "Attempt to fetch offsets for partition",
    "Received unknown topic or partition error in",
    "Group Coordinator Request failed",
    "Marking the coordinator dead",
    "Error sending",
    "Heartbeat session expired",
    "Heartbeat send request failed",
    "Heartbeat failed for group",
    "Heartbeat failed: local member_id was not recognized",
    "LeaveGroup request failed",
    "OffsetCommit failed",
    "Failed to commit on finallization",
    # producers
    "FindCoordinator Request failed",
    "Cannot send",
    "Could not send",
    "Got error produce response",
    # Faust
    "Fetcher is ignoring cancel or slow",
    "Aiokafka has not",
    "Aiokafka stopped fetching from",
    "Broker stopped responding to fetch requests",
    "Highwater not yet available",
    "Has not committed",
    "Stream has not started processing",
    "Stream stopped processing",
    "Warning: Task timed out!",  # of a commit
    "Please make sure it's hanging before restart.",
)
_NORMAL = (
    "Heartbeat failed for group %s because it is rebalancing",
    "Topic %s is not available during auto-create initialization",  # it has no leader yet
    "Topic %s not found in cluster metadata",  # we say ourselves which topics are missing
    "Recovery rebalancing again",
    "rebalance again generation id",
    "Timer %s is overlapping",  # a checkpoint takes as long as the broker
    "Missing sensor state for rebalance",
    "Ignoring missing topic",  # of checkpoints, before the first one
    "Thread keepalive is not responding",  # of a busy machine
)
_SERVICE = re.compile(r"^\[\^-*[^\]]*(?:\[\.\][^\]]*)*\]: ")  # [^---Recovery]: …


class LibraryFilter(logging.Filter):
    """Filter of a handler: pass each sign of an outage to `suspect`, and keep back what is not worth a line.

    With `everything`, all is kept.
    """

    def __init__(self, suspect: Callable[[str], None], everything: bool) -> None:
        super().__init__()
        self._suspect = suspect
        self._everything = everything

    def filter(self, record: logging.LogRecord) -> bool:
        if not _is_of_library(record.name) or record.levelno < logging.WARNING:
            return True
        template = _SERVICE.sub("", str(record.msg))
        if template.startswith(_NORMAL):
            return self._everything
        if template.startswith(_SIGNS_OF_OUTAGE):
            self._suspect(_text(record.getMessage()))
            return self._everything
        return True


def from_library(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Make one plain line of a record that a library has logged: a processor of structlog."""
    event["event"] = _text(event["event"])
    record = event["_record"]
    if _is_of_library(record.name) and (error := event.pop("exc_info", None)):
        event["error"] = plain(error[1])
    return event


def _text(message: str) -> str:
    """Return the first line of a message: Faust explains itself in twenty."""
    return tidy(_SERVICE.sub("", message).strip().partition("\n")[0])


def _is_of_library(name: str) -> bool:
    return name.partition(".")[0] in LIBRARIES
