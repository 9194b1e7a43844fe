"""The command `marketprism probe`: its output and exit status."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from marketprism.cli import app
from marketprism.local.broker import free_port
from marketprism.simulator import Move, Planted, Silent, Simulators

FEED = "htx-spot"


class Running:
    """Simulated exchange that runs in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.simulators = Simulators((FEED,))

    def __enter__(self) -> "Running":
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.simulators.start(), self.loop).result(10)
        return self

    def plant(self, plan: Move | Silent) -> Planted:
        return asyncio.run_coroutine_threadsafe(self.simulators.plant(plan), self.loop).result(10)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.simulators.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find no system that runs on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with Running() as running:
        monkeypatch.setenv("MARKETPRISM_ENDPOINTS", orjson.dumps(running.simulators.endpoints).decode())
        yield running


def probe(*arguments: str, feed: str = FEED) -> Result:
    return CliRunner().invoke(app, ["probe", "--feed", feed, *arguments])


def test_unchanged(exchange: Running) -> None:
    """Nothing has changed: 0, and a table with the rows of the feed."""
    result = probe("--seconds", "3")
    assert result.exit_code == 0, result.output
    assert "htx-spot: BTC-USDT; its clock is " in result.output
    assert "Nothing has changed" in result.output
    rows = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert "held" in rows["books"]


def test_changed(exchange: Running) -> None:
    """An exchange has changed: 1, and JSON that says what."""
    exchange.plant(Move(feed=FEED, path="/v1/settings/common/market-symbols", seconds=60))
    result = probe("--json", "--seconds", "1")
    assert result.exit_code == 1
    printed = orjson.loads(result.stdout)
    assert (printed["verdict"], printed["finished"]) == ("changed", True)
    [feed] = printed["feeds"]
    [listing, clock] = feed["cells"]
    assert (feed["feed"], listing["verdict"], clock["verdict"]) == (FEED, "changed", "ok")
    assert "/v1/settings/common/market-symbols" in listing["reason"]
    assert "404" in listing["reason"]


def test_could_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange that cannot be reached: 2, and what to do."""
    away = f"127.0.0.1:{free_port()}"
    endpoints = {FEED: {"ws": f"ws://{away}", "rest": f"http://{away}"}}
    monkeypatch.setenv("MARKETPRISM_ENDPOINTS", orjson.dumps(endpoints).decode())
    result = probe("--seconds", "1")
    assert result.exit_code == 2
    assert "check the network" in result.output


def test_wrong_settings() -> None:
    """Settings that cannot be used are no change of an exchange."""
    result = probe(feed="htx-spto")
    assert result.exit_code == 2
    assert "htx-spot" in result.output


def test_ctrl_c(exchange: Running) -> None:
    """Ctrl-C prints the results so far."""
    silent = exchange.plant(Silent(feed=FEED, symbol="BTC-USDT", channel="quotes"))
    command = (sys.executable, "-c", "from marketprism.cli import app; app()", "probe", "--feed", FEED, "--json")
    environment = os.environ | {"TMPDIR": os.getcwd(), "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        deadline = time.monotonic() + 20
        while not silent.started_at and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        printed = orjson.loads(process.communicate(timeout=10)[0])
    assert not printed["finished"]
    assert {cell["channel"] for cell in printed["feeds"][0]["cells"]} >= {"listing", "clock", "trades", "books"}
