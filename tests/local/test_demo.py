"""A whole run as a user sees it: the commands that look at it, its end, and what it leaves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

COMMAND = [sys.executable, "-m", "marketprism"]
WITHIN = 120.0  # s
FEEDS = {"MARKETPRISM_FEEDS": "okx,binance-spot", "MARKETPRISM_SYMBOLS": "BTC-USDT"}


class Run:
    """A `marketprism demo` on a data directory, and commands beside it that find it by themselves."""

    def __init__(self, place: Path) -> None:
        self.data = place / "data"
        # Their own directory for temporary files, so that only this run is found.
        self.environment = {**os.environ, **FEEDS, "TMPDIR": str(place), "PYTHONUNBUFFERED": "1"}
        self._output = (place / "output").open("w+b")
        self.process = subprocess.Popen(
            [*COMMAND, "demo", "--data", str(self.data)], env=self.environment, cwd=place, stdout=self._output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip

    def command(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*COMMAND, *words], env=self.environment, cwd=self.data.parent, capture_output=True, timeout=WITHIN,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def until(self, *words: str) -> str:
        """Repeat a command until it succeeds with an answer."""
        deadline = time.monotonic() + WITHIN
        while True:
            code, text = self.command(*words)
            if not code and text.strip():
                return text.strip()
            assert time.monotonic() < deadline, f"{words}: {text}\n{self.output()}"
            assert self.process.poll() is None, self.output()
            time.sleep(1.5)

    def stop(self) -> str:
        """Stop it as Ctrl-C does, and return its whole output."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.output()
        return self.output()

    def output(self) -> str:
        self._output.seek(0)
        return self._output.read().decode()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._output.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path)
    yield started
    started.close()


@pytest.mark.e2e
def test_a_run_and_what_it_leaves(run: Run) -> None:
    """While it runs, commands find it. At its end it says what was stored. Afterwards its data answers the same."""
    id_ = run.until("sql", "SELECT id FROM signals WHERE type = 'closed' LIMIT 1")
    findings = {each["name"]: each["text"] for each in orjson.loads(run.until("status", "--json"))}
    assert findings["stack"].startswith("demo, for ")
    assert {"kafka", "sink", "worker", "simulator", "ingest", "workers", "okx", "binance-spot", "disk"} <= set(findings)
    source = run.until("sql", "SELECT source FROM trades WHERE exchange = 'okx' LIMIT 1")
    raw = run.until("trace", source)
    assert '"channel":"trades"' in raw
    sides = run.until("trace", id_)
    assert [line.split()[0] for line in sides.splitlines()[::2]] == ["buy", "sell"]
    text = run.stop()
    assert "Starting the broker: " in text
    for word in ("Ran for", "received", "stored", "remaining", "dead letters" if "dead" in text else "set aside"):
        assert word in text
    assert f"\nmarketprism sql --data {run.data} " in text
    assert run.command("status")[0] == 3
    data = ("--data", str(run.data))
    assert run.command("sql", "SELECT count() FROM gaps", *data) == (0, "0\n")
    assert run.command("trace", source, *data)[1].strip() == raw
    code, text = run.command("trace", "okx:0:999999999:0:0", *data)
    assert code == 1
    assert "not written yet" in text
