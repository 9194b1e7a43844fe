"""Each process by itself, as the page on it says, with the commands that it shows."""

import os
import re
import shlex
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from marketprism.local.broker import free_port
from marketprism.local.processes import Child, says
from marketprism.local.roles import INGEST, SINK, WORKER
from tests.test_docs import ROOT

PAGE = ROOT / "docs" / "by-hand.md"
READY = {
    "broker": "The broker is ready",
    "simulate": '"endpoints"',
    "ingest": INGEST.ready,
    "worker": WORKER.ready,
    "sink": SINK.ready,
}


def commands() -> list[tuple[dict[str, str], list[str]]]:
    """Return the page's commands in order: the variables before each, and its words."""
    lines = re.findall(r"^((?:[A-Z_]+=\S+ )*marketprism .*?)(?: +#.*)?$", PAGE.read_text(), re.MULTILINE)
    found = []
    for line in lines:
        words = shlex.split(line)
        variables = [word for word in words if re.match(r"[A-Z_]+=", word)]
        found.append((dict(word.split("=", 1) for word in variables), words[len(variables) + 1 :]))
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty directory to work in, with ports of its own."""
    monkeypatch.setenv("MARKETPRISM_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("MARKETPRISM_SQL_ADDRESS", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("MARKETPRISM_FEEDS", "okx,deribit")
    monkeypatch.setenv("MARKETPRISM_SYMBOLS", "BTC-USD-PERP")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.e2e
def test_the_page(place: Path) -> None:
    """All of the page's commands work in the order in which it shows them, and Ctrl-C ends each process cleanly."""
    started: list[Child] = []
    with ExitStack() as stack:
        for variables, words in commands():
            name = words[0]
            log = place / "logs" / f"{len(started)}-{name}.log"
            command = [sys.executable, "-m", "marketprism", *words]
            child = Child(name, command, log, says(READY.get(name, "")), variables, timeout=90)
            if name in READY:
                started.append(stack.enter_context(child))
            else:
                _run_until_well(child)
        for child in reversed(started):
            assert child.pid
            os.killpg(child.pid, signal.SIGINT)
            assert child._process
            assert child._process.wait(15) in (0, -signal.SIGINT), child.tail()
    assert [child.name for child in started] == ["broker", "simulate", "ingest", "worker", "worker", "sink"]


def _run_until_well(child: Child) -> None:
    """Run a command again and again until it succeeds: rows arrive within seconds."""
    for _ in range(20):
        child.spawn()
        assert child._process
        if child._process.wait(60) == 0:
            return
    raise AssertionError(f"{child.command}: {child.tail()}")
