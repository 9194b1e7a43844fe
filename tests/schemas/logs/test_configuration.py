"""Lines as a process writes them, as text and as JSON. In a process of its own: loggers keep their set-up."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import logging, structlog
from aiokafka import TopicPartition
from schemas.logs import configure_logs
from schemas.settings import load_settings

configure_logs(load_settings())
configure_logs(load_settings())
ours, theirs = structlog.get_logger("streams"), logging.getLogger("aiokafka.client")
ours.info("assigned", of={TopicPartition("market.trades", 3), TopicPartition("a", 0)}, error=ValueError())
ours.debug("debugged")
theirs.info("Discovered coordinator %s", 1)
theirs.error("Unable connect to node with id %s", 1)
theirs.warning("Odd %r\\n of %r", TopicPartition("a", 0), {TopicPartition("b", 1)})
try:
    raise ValueError("ours")
except ValueError:
    ours.exception("failed")
"""
FOLDED = ["assigned", "Odd a-0", "failed"]
EVERYTHING = ["assigned", "debugged", "Discovered coordinator 1", "Unable connect to node with id 1"]


def lines_of(level: str, log_json: str) -> list[str]:
    # Port 1 of loopback: no broker. Its watch ends with the process.
    environment = {"MARKETPRISM_LOG_LEVEL": level, "MARKETPRISM_LOG_JSON": log_json, "MARKETPRISM_KAFKA": "127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return [line for line in done.stderr.splitlines() if "broker unavailable" not in line]


def test_text() -> None:
    """Each line has the time, level, event, logger and values, whoever logs it. It is written once."""
    first, odd, failed, *traceback = lines_of("INFO", "false")
    assert first.split(maxsplit=3)[1:3] == ["[info", "]"]
    assert first.endswith("[streams] error=ValueError of='a-0, market.trades-3'")
    assert odd.split()[1:5] == ["[warning", "]", "Odd", "a-0"]
    assert odd.endswith("[aiokafka.client]")
    assert "failed" in failed
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-1] == "ValueError: ours"


def test_json() -> None:
    """Each line is an object with the same content, a traceback included."""
    lines = [json.loads(line) for line in lines_of("INFO", "true")]
    assert [line["event"] for line in lines] == FOLDED
    assert lines[0] | {"timestamp": ""} == {
        "timestamp": "", "level": "info", "event": "assigned", "logger": "streams",
        "of": ["a-0", "market.trades-3"], "error": "ValueError",
    }  # fmt: skip
    assert lines[1]["logger"] == "aiokafka.client"
    assert "ValueError: ours" in lines[2]["exception"]


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", EVERYTHING), ("WARNING", FOLDED[1:]), ("ERROR", FOLDED[2:])])
def test_levels(level: str, expected: list[str]) -> None:
    """At DEBUG nothing is folded. Above INFO, warnings and errors remain."""
    assert [json.loads(line)["event"] for line in lines_of(level, "true")][: len(expected)] == expected
