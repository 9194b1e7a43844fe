"""Test the command line: help, error messages and the topic table."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from marketprism.cli import app

COMMANDS = (
    "demo",
    "live",
    "ingest",
    "worker",
    "sink",
    "record",
    "replay",
    "export",
    "sql",
    "topics",
    "trace",
    "schemas",
    "doctor",
)


@pytest.fixture(autouse=True)
def _in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_help_lists_every_command() -> None:
    """The help lists every command."""
    _, text = run("--help")
    for command in COMMANDS:
        assert f" {command} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    """Every command has a help text."""
    code, text = run(command, "--help")
    assert code == 0
    assert "Usage" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay", "binance-spot"), "write FEED:FILE"),
        (("replay", "okx:"), "write FEED:FILE"),
        (("replay", "C:\\caps\\x.zst"), "there is no file"),
        (("replay", "mtgox:file"), "there is no file"),
        (("replay", f"mtgox:{__file__}"), "known are binance-spot"),
        (("replay", f"okx:{__file__}", "--speed", "0"), "a number above 0"),
        (("replay",), "name captures to replay, or a span"),
        (("replay", "--from", "10m ago"), "name captures to replay, or a span"),
        (("replay", "--from", "soon", "--into", "x."), "'soon' is not a time"),
        (("replay", "--from", "10m ago", "--into", ""), "--into must differ from the prefix in use"),
        (("export", "--table", "trade", "--from", "1h ago"), "did you mean trades?"),
        (("export", "--table", "trades", "--from", "1h ago", "--format", "xls"), "the formats are parquet, csv"),
        (("export", "--table", "trades", "--from", "1h ago", "--data", "nowhere"), "no ClickHouse data in nowhere"),
        (("sql", "SELECT 1", "--data", "nowhere"), "there is no ClickHouse data in nowhere"),
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


def test_topic_table() -> None:
    """`topics` lists the topics."""
    code, text = run("topics")
    assert code == 0
    assert "market.trades" in text
