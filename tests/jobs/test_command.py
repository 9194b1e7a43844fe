"""The command `marketprism jobs`, with a real broker."""

import asyncio
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner

from marketprism.cli import app
from marketprism.cli.common import console
from marketprism.jobs.work import WORK
from marketprism.local.broker import Broker
from marketprism.ops.topics import create_topics
from schemas.jobs import JOBS
from schemas.settings import load_settings
from tests.jobs.test_execution import refuses, succeeds


@pytest.fixture(autouse=True)
def _system(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have topics of its own, and find no system that runs on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.setenv("MARKETPRISM_KAFKA", broker.bootstrap)
    monkeypatch.setenv("MARKETPRISM_TOPIC_PREFIX", f"t{uuid4().hex[:8]}.")
    monkeypatch.setenv("MARKETPRISM_JOBS", '{"gaps": "off"}')
    asyncio.run(create_topics(load_settings()))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ("jobs", *arguments))
    return result.exit_code, result.output


def test_runs_and_their_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are run, also one that is off; the list has the last result of each, and the history all."""
    monkeypatch.setitem(WORK, "gaps", succeeds)
    monkeypatch.setitem(WORK, "quality", refuses)
    assert run("show") == (0, "No runs yet.\n")
    code, text = run("run", "gaps")
    assert (code, text.startswith("gaps ok after "), text.endswith(": 2 done\n")) == (0, True, True)
    code, text = run("run", "quality", "--json")
    assert (code, orjson.loads(text)["summary"]) == (1, "ClickHouse is away")
    code, text = run()
    table, summaries = ({line.split()[0]: line for line in part.splitlines()[1:]} for part in text.split("\n\n"))
    assert code == 0
    assert set(table) == set(summaries) == set(JOBS)
    assert " off " in table["gaps"]
    assert table["gaps"].rstrip().endswith(" s  ok")
    assert table["quality"].rstrip().endswith(" s  failed")
    assert table["retention"].rstrip().endswith("03:30  never")
    assert summaries["gaps"].split(maxsplit=1)[1].rstrip() == "2 done"
    assert summaries["retention"].split(maxsplit=1)[1].rstrip() == JOBS["retention"].meaning
    found = {each["job"]: each for each in orjson.loads(run("--json")[1])}
    assert (found["gaps"]["next_run"], found["gaps"]["last"]["figures"]) == ("", {"done": 2})
    assert found["retention"]["next_run"].endswith("03:30")
    assert found["retention"]["last"] is None
    assert [each["job"] for each in orjson.loads(run("show", "--json")[1])] == ["gaps", "quality"]
    assert [each["job"] for each in orjson.loads(run("show", "--last", "1", "--json")[1])] == ["quality"]
    assert "2 done" in run("show", "gaps")[1]


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors are one line that says what to do."""
    assert run("run", "gap") == (1, "error: unknown job 'gap': did you mean gaps?\n")
    assert run("show", "gap")[0] == 1
    monkeypatch.setenv("MARKETPRISM_TOPIC_PREFIX", "none.")
    for arguments in ((), ("show",), ("run", "gaps")):
        code, text = run(*arguments)
        assert (code, text.count("\n")) == (1, 1)
        assert "error: there is no topic none.control.jobs" in text
