"""Test the command line: help, error messages and the topic table."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import structlog
from typer.main import get_command
from typer.testing import CliRunner

from marketprism.cli import app
from marketprism.cli.common import console, quiet_libraries
from marketprism.local.broker import Broker, free_port
from marketprism.ops.topic_list import topic_groups
from schemas.events import json_schemas
from schemas.topics import TOPICS

MARKETPRISM = (sys.executable, "-c", "from marketprism.cli import app; app()")
COMMANDS = tuple(sorted(get_command(app).commands))  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty directory, and find no system that runs on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))


def test_tracebacks_show_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """An internal error is logged with its traceback, but without the values of variables: some are passwords."""
    quiet_libraries()
    secret = "".join(["pass", "word"])
    try:
        raise ValueError("a reason")
    except ValueError:
        structlog.get_logger("jobs").exception("internal error in a job")
    out, err = capsys.readouterr()
    assert "internal error in a job" in err
    assert "ValueError: a reason" in err
    assert secret not in out + err


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_help_lists_every_command() -> None:
    """The help lists every command."""
    _, text = run("--help")
    for command in COMMANDS:
        assert f" {command} " in text


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "simulate"])
def test_each_command_has_help(command: str) -> None:
    """Every command has a help text."""
    code, text = run(command, "--help")
    assert code == 0
    assert "Usage" in text


def test_the_simulator_explains_itself() -> None:
    """`simulate` becomes the simulator, which knows its own options."""
    done = subprocess.run([*MARKETPRISM, "simulate", "--help"], capture_output=True, text=True, check=True)
    assert "--settings" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay", "binance-spot"), "write FEED:FILE"),
        (("replay", "okx:"), "write FEED:FILE"),
        (("replay", "C:\\caps\\x.zst"), "there is no file"),
        (("replay", "mtgox:file"), "there is no file"),
        (("replay", f"mtgox:{__file__}"), "known are binance-spot"),
        (("replay", f"okx:{__file__}", "--speed", "0"), "a number above 0"),
        (("sql", "SELECT 1", "--data", "nowhere"), "there is no data of a run in nowhere"),
        (("replay",), "name captures to replay, or a span"),
        (("replay", "--from", "10m ago"), "name captures to replay, or a span"),
        (("replay", "--from", "soon", "--into", "x."), "'soon' is not a time"),
        (("replay", "--from", "10m ago", "--into", ""), "--into must differ from the prefix in use"),
        (("export", "--table", "trade", "--from", "1h ago"), "did you mean trades?"),
        (("export", "--table", "trades", "--from", "1h ago", "--format", "xls"), "the formats are parquet, csv"),
        (
            ("export", "--table", "trades", "--from", "1h ago", "--data", "nowhere"),
            "there is no data of a run in nowhere",
        ),
        (("trace", "malformed"), "not a source of the form <exchange>"),
        (("trace", "mtgox:0:0:0:0"), "unknown origin"),
        (("demo", "--replay", "okx:nothing"), "there is no file"),
        (("ingest", "--feed", "mtgox"), "known are binance-spot"),
    ],
)
def test_errors_say_what_to_do(arguments: tuple[str, ...], message: str) -> None:
    """A wrong argument results in one line that says what to write instead, and exit code 1."""
    code, text = run(*arguments)
    assert code == 1
    assert message in text.replace("\n", " ")
    assert "Traceback" not in text


@pytest.mark.parametrize("width", [80, 200])
def test_topic_list(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """`topics` lists every topic with its key and retention, none of them cut or broken, however narrow the screen."""
    monkeypatch.setenv("MARKETPRISM_TOPIC_PREFIX", "p.")
    monkeypatch.setattr(console, "_width", width)
    code, text = run("topics")
    assert code == 0
    first_words = [line.split(" ")[0] for line in text.splitlines()]
    assert {f"p.{topic.name}" for group in topic_groups() for topic in group} <= set(first_words)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["p.market.trades"] == ["exchange:symbol", "7", "days", "trades"]
    assert "internal:" in lines["p.control.ingest"]
    assert set(TOPICS["control.ingest"].meaning.split()) <= set(text.split())


@pytest.mark.parametrize("name", ["market.trades", "trades"])
def test_one_schema(name: str) -> None:
    """`schemas --topic` prints one topic's JSON Schema, named by the topic or its table."""
    code, text = run("schemas", "--topic", name)
    assert code == 0
    assert orjson.loads(text) == json_schemas()["market.trades"]


def test_misspelt_topic() -> None:
    """The nearest topic is suggested."""
    assert run("schemas", "--topic", "market.trads") == (
        1,
        "error: unknown event topic 'market.trads': did you mean market.trades?\n",
    )


@pytest.mark.parametrize("command", ["demo", "live", "record capture"])
@pytest.mark.parametrize("seconds", ["-5", "nan", "inf", "long"])
def test_durations_are_checked(command: str, seconds: str) -> None:
    """A duration that is no number of seconds is a usage error, before anything starts."""
    code, text = run(*command.split(), "--duration", seconds)
    assert code == 2
    assert "Invalid value for '--duration'" in text


@pytest.mark.parametrize("command", ["demo", "live"])
def test_nothing_to_ingest(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Nothing is started if there is nothing to ingest."""
    monkeypatch.setenv("MARKETPRISM_FEEDS", "binance-spot")
    monkeypatch.setenv("MARKETPRISM_SYMBOLS", "BTC-USDT-PERP")
    code, text = run(command, "--data", "here")
    assert (code, text.count("\n")) == (1, 1)
    assert text.startswith("error: nothing to ingest: no feed (binance-spot) has any of: trades,")
    assert not Path("here").exists()


def test_terminals_without_unicode() -> None:
    """What an encoding lacks is replaced."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*MARKETPRISM, "--help"], capture_output=True, text=True, check=True, env=environment)
    assert "MARKETPRISM_?" in done.stdout


@pytest.mark.parametrize("speed", ["0", "nan", "inf", "fast"])
def test_speeds_are_checked(speed: str) -> None:
    """A speed that is neither `max` nor a positive number is an error."""
    assert "use `max` or a number above 0" in run("replay", f"okx:{__file__}", "--speed", speed)[1]


def test_errors_are_not_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets and colons of an error are printed as they are, and passwords are not."""
    monkeypatch.setenv("MARKETPRISM_CLICKHOUSE", "clickhous://user:secret@host")
    _, text = run("topics")
    assert "clickhouse://[user:password@]host" in text
    assert "secret" not in text
    monkeypatch.delenv("MARKETPRISM_CLICKHOUSE")
    monkeypatch.setenv("MARKETPRISM_VARIANTS", '{"okx:books": 5}')
    assert "okx:books: 5 should be a valid string" in run("topics")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("topics", "--create"),
        ("topics", "--discard-checkpoints"),
        ("trace", "okx:0:0:0:0"),
        ("feeds",),
        ("feeds", "reconnect"),
        ("jobs",),
    ],
)
def test_no_broker(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    """Without a broker, the error is one line, and no log or unclosed client comes with it."""
    monkeypatch.setenv("MARKETPRISM_KAFKA", f"127.0.0.1:{free_port()}")
    done = subprocess.run([*MARKETPRISM, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_reconnect_without_topics(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for which there is no topic fails at once."""
    monkeypatch.setenv("MARKETPRISM_KAFKA", broker.bootstrap)
    monkeypatch.setenv("MARKETPRISM_TOPIC_PREFIX", "none.")
    code, text = run("feeds", "reconnect")
    assert code == 1
    missing = "there is no topic none.control.connections"
    assert text == f"error: {missing} at {broker.bootstrap}: run `marketprism topics --create`\n"


def test_status_of_another_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a run, the status says which broker it looks at."""
    monkeypatch.setattr("marketprism.local.processes.is_listening", lambda port: True)
    code, text = run("status")
    assert code == 1
    assert "no run was found; the broker at 127.0.0.1:9092 is looked at" in text


def test_doctor_is_not_interrupted_by_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor prints its findings alone, whatever cannot be reached, and no password."""
    monkeypatch.setenv("MARKETPRISM_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("MARKETPRISM_CLICKHOUSE", "clickhouse://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MARKETPRISM_FEEDS", "okx")
    monkeypatch.setenv("MARKETPRISM_ENDPOINTS", '{"okx": {"rest": "http://127.0.0.1:9"}}')
    done = subprocess.run([*MARKETPRISM, "doctor"], capture_output=True, text=True, check=False)
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok", "note", "problem"}
    assert (done.returncode, done.stderr) == (1, "")
    assert "secret" not in done.stdout
