"""The ledger of holes, from a real ClickHouse, and what of it is filled together."""

import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from marketprism.backfill.fill import parts
from marketprism.backfill.holes import Span
from marketprism.backfill.ledger import Entry, ledger
from marketprism.cli import app
from schemas.settings import Settings
from tests.backfill.database import database_with
from tests.sinks.events import DAY

SECOND = 1_000_000  # µs
MINUTE = 60 * SECOND
SPAN = Span(DAY, DAY + 60 * MINUTE)


def gap(
    name: str, kind: str, at: int, channel: str = "trades", first: str = "", last: str = "", since: int = 0
) -> tuple[str, dict[str, Any]]:
    """Return an event of a gap, received `at` µs after the start of the day."""
    fields = {"id": name, "type": kind, "channel": channel, "cause": "sequence" if first else "disconnected"}
    fields |= {"first_missing": first, "last_missing": last}
    times = {"timestamp": DAY + at, "local_timestamp": DAY + at, "since": DAY + (since or at - SECOND)}
    return "market.gaps", fields | times


def candle(minute: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return the closed candle of a minute."""
    start = DAY + minute * MINUTE
    made = {"interval": "1m", "start": start, "end": start + MINUTE, "closed": True, "complete": True, "contract": ""}
    return "market.candles", made | {"origin": "exchange"} | fields


EVENTS = [
    gap("arrived", "opened", 5 * SECOND, first="7", last="9"),
    gap("arrived", "closed", 6 * SECOND, first="7", last="9"),
    gap("outage", "opened", 10 * SECOND),
    gap("outage", "closed", 20 * SECOND, since=9 * SECOND),
    gap("numbers", "opened", 21 * SECOND, first="17", last="17"),
    gap("filled", "opened", 30 * SECOND, first="27", last="28"),
    gap("filled", "filled", 200 * SECOND, first="27", last="28", since=29 * SECOND),
    gap("book", "opened", 40 * SECOND, "books"),
    gap("open", "opened", 50 * SECOND),
    *(candle(minute) for minute in (0, 1, 2, 5, 6)),
    candle(3, complete=False),
    candle(7, interval="5m", end=DAY + 12 * MINUTE, closed=False),
    candle(12, interval="5m", end=DAY + 17 * MINUTE),
    candle(4, origin="trades"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a database with these events."""
    return database_with(tmp_path_factory.mktemp("ledger"), EVENTS)


async def test_ledger(settings: Settings) -> None:
    """Each hole is listed with its state: what arrived, was filled, is missing, still open, or lost."""
    found = {each.gap_id or f"candles {each.interval}": each for each in await ledger(settings, SPAN)}
    states = {name: (each.what, each.state, each.detail) for name, each in found.items()}
    assert states == {
        "arrived": ("trades", "arrived", "sequence: 3 trades, 7 to 9"),
        "outage": ("trades", "missing", "disconnected"),
        "numbers": ("trades", "missing", "sequence: 1 trade, 17"),
        "filled": ("trades", "filled", "sequence: 2 trades, 27 to 28"),
        "book": ("books", "lost", "disconnected"),
        "open": ("trades", "missing", "disconnected"),
        "candles 1m": ("candles", "missing", "no 1m candles"),
        "candles 5m": ("candles", "missing", "no 5m candles"),
    }
    candles = [each for each in await ledger(settings, SPAN) if each.what == "candles"]
    assert [(each.interval, each.begin, each.end) for each in candles] == [
        ("1m", DAY + 3 * MINUTE, DAY + 5 * MINUTE),
        ("5m", DAY + 7 * MINUTE, DAY + 12 * MINUTE),  # the first was never closed
    ]
    assert {name for name, each in found.items() if each.can_be_filled} == {
        "outage", "numbers", "candles 1m", "candles 5m",
    }  # fmt: skip


async def test_selection(settings: Settings) -> None:
    """Feeds, symbols and times select; outside of them nothing is listed."""
    assert await ledger(settings, SPAN, ["okx"]) == []
    assert await ledger(settings, SPAN, [], ["ABC-USDT"]) == []
    assert await ledger(settings, Span(DAY + 30 * MINUTE, DAY + 40 * MINUTE)) == []
    assert len(await ledger(settings, SPAN, ["binance-spot"], ["BTC-USDT"])) == 8


def gaps(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Run the command in another minute than that of the holes."""
    monkeypatch.setattr(sys.modules["marketprism.cli.gaps"], "stack_settings", lambda data: settings)
    span = ("--from", str(DAY + 30 * MINUTE), "--to", str(DAY + 40 * MINUTE))
    result = CliRunner().invoke(app, ["gaps", *span, *arguments])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("arguments", ["", "--symbol btc-usdt", "--feed binance-spot --symbol BTC-USDT"])
def test_nothing_is_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    """Of what the tables hold, nothing is missing in this time."""
    assert gaps(settings, monkeypatch, *arguments.split()) == (0, "Nothing is missing in this time.")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--symbol BTCUSDT", "'BTCUSDT' is not a symbol: write BTC-USDT (spot)"),
        ("--symbol *-USDT", "--symbol *-USDT: name each instrument, such as BTC-USDT; patterns are not possible"),
        ("--symbol BTC-USDT --symbol ABC-USDT", "--symbol ABC-USDT: the tables hold no data of it; without --symbol"),
        ("--feed okx", "the tables hold no data of okx: has it ever been ingested?"),
        ("--feed okx --symbol BTC-USDT", "--symbol BTC-USDT: the tables hold no data of it of okx;"),
        ("--feed binance-usdm --symbol BTC-USDT", "--symbol BTC-USDT: the tables hold no data of it of binance-usdm;"),
    ],
)
def test_unknown_selections(settings: Settings, monkeypatch: pytest.MonkeyPatch, arguments: str, text: str) -> None:
    """What is not a symbol, or has no data, is an error, as it would otherwise look as if nothing were missing."""
    status, output = gaps(settings, monkeypatch, *arguments.split())
    assert (status, text in output) == (1, True), output


def entry(begin: int, what: str = "trades", exchange: str = "okx", interval: str = "", state: str = "missing") -> Entry:
    """Return a hole of ten seconds."""
    return Entry(exchange, "BTC-USDT", what, begin, begin + 10 * SECOND, state, "", interval)  # type: ignore[arg-type]


def test_parts() -> None:
    """Holes of one series that are near one another are filled by one run, with a margin for trades."""
    near, far = entry(DAY + 60 * SECOND), entry(DAY + 60 * MINUTE)
    others = [entry(DAY, "candles", interval="1m"), entry(DAY, "books"), entry(DAY, state="filled")]
    made = parts([far, near, entry(DAY), *others])
    assert [(part.kind, part.interval, len(part.entries)) for part in made] == [
        ("candles", "1m", 1),
        ("trades", "", 2),
        ("trades", "", 1),
    ]
    assert made[0].wanted.begin == DAY
    assert (made[1].wanted.begin, made[1].wanted.end) == (DAY - 5 * SECOND, DAY + 75 * SECOND)
