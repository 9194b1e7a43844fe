"""The command line: help, clear errors, and the commands that look things up."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from marketprism.cli import app
from marketprism.local.doctor import examine
from marketprism.ops.lag import Lag
from marketprism.ops.trace import trace
from schemas.errors import MarketPrismError
from schemas.raw import encode_line
from schemas.settings import Settings, load_settings
from schemas.topics import SINK_GROUP, WORKER_GROUP

COMMANDS = (
    "demo",
    "live",
    "ingest",
    "worker",
    "sink",
    "record",
    "replay",
    "sql",
    "topics",
    "trace",
    "schemas",
    "doctor",
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_help_names_every_command() -> None:
    """Without arguments the commands are listed, each with a line."""
    _, text = run("--help")
    for command in COMMANDS:
        assert f" {command} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    """Each command explains itself."""
    code, text = run(command, "--help")
    assert code == 0
    assert "Usage" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay", "binance-spot"), "write FEED:FILE"),
        (("replay", "okx:"), "write FEED:FILE"),
        (("replay", "C:\\caps\\x.zst"), "there is no file"),
        (("replay", "mtgox:file"), "there is no file"),
        (("replay", f"mtgox:{__file__}"), "known are binance-spot"),
        (("replay", f"okx:{__file__}", "--speed", "0"), "a number above 0"),
        (("sql", "SELECT 1", "--data", "nowhere"), "there is no ClickHouse data in nowhere"),
        (("trace", "rubbish"), "it reads <exchange>"),
        (("trace", "mtgox:0:0:0:0"), "no origin"),
        (("demo", "--replay", "okx:nothing"), "there is no file"),
        (("ingest", "--feed", "mtgox"), "known are binance-spot"),
    ],
)
def test_errors_say_what_to_do(arguments: tuple[str, ...], said: str) -> None:
    """A wrong word is one line on what to write instead, and exit code 1."""
    code, text = run(*arguments)
    assert code == 1
    assert said in text.replace("\n", " ")
    assert "Traceback" not in text


def test_topic_table() -> None:
    """The topics with their keys and partitions."""
    code, text = run("topics")
    assert code == 0
    assert "market.trades" in text


async def test_trace_leads_to_the_frame(settings: Settings) -> None:
    """A source leads to the exact line of the raw record."""
    frames = [b'{"a":1}', b'{"b":2}']
    value = b"".join(encode_line(5, "binance:BTC-USDT", frame) for frame in frames)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(settings.topic("raw.binance"), value, partition=1)
    place, line = await trace(settings, "binance:1:0:1:0")
    assert place == f"{settings.topic('raw.binance')}-1@0:1"
    assert (line.key, line.frame) == ("binance:BTC-USDT", frames[1])
    with pytest.raises(MarketPrismError, match="2 lines"):
        await trace(settings, "binance:1:0:7:0")


async def test_progress_counts_what_is_before_each_group(settings: Settings) -> None:
    """Records that nobody has taken yet are lag of the group that should."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(settings.topic("raw.binance"), b"x", partition=0)
        await producer.send_and_wait(settings.topic("market.trades"), b"{}", partition=1)
    async with Lag(settings) as progress:
        offsets = await progress.offsets()
    assert offsets.records["market.trades"] == 1
    assert offsets.lag == {WORKER_GROUP: 1, SINK_GROUP: 1}
    assert offsets.behind["raw.binance"] == 1
    assert offsets.behind["raw.okx"] == 0


async def test_doctor(settings: Settings) -> None:
    """What is there is found, what is not reachable is told with what to do."""
    unreachable = {"binance-spot": {"rest": "http://127.0.0.1:9"}}
    found = {
        each.name: each
        for each in await examine(load_settings(kafka=settings.kafka, topic_prefix="none.", endpoints=unreachable))
    }
    assert found["java"].ok
    assert found["kafka jars"].ok
    assert found["broker"].ok is False
    assert "marketprism topics --create" in found["broker"].text
    assert found["clickhouse"].ok is None
    assert found["clock"].ok is None
