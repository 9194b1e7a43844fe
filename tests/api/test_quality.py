"""The heat map of the data's quality against a computation in Python."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.feeds import feed_of
from tests.api.history_data import Prism, Row, prism
from tests.sinks.events import DAY, event

MINUTE = 60_000_000  # µs
NOW = DAY + 600 * MINUTE
INSTRUMENTS = [
    ("binance", "BTC-USDT"), ("binance", "ETH-USDT"), ("binance", "BTC-USDT-PERP"), ("binance", "BTC-USD-PERP"),
    ("binance", "BTC-USD-261225"), ("okx", "BTC-USDT"), ("okx", "BTC-USDT-PERP"), ("deribit", "BTC-USD-261225-76000-C"),
]  # fmt: skip


def made_events(seed: int) -> dict[str, list[Row]]:
    """Return reports, silences, comparisons and gaps of two hours."""
    chance = random.Random(seed)
    data: dict[str, list[Row]] = {"status": [], "quality": [], "gaps": []}

    def add(table: str, at: int, **body: Any) -> None:
        exchange, symbol = chance.choice(INSTRUMENTS)
        head = {"exchange": exchange, "symbol": symbol, "local_timestamp": at}
        row = event(f"market.{table}", f"{exchange}:0:{len(data[table])}:0:0", **(head | body))
        data[table].append(row)

    for _ in range(600):
        at, channels = NOW - chance.randrange(120 * MINUTE), [chance.choice(["trades", "books", "quotes"])]
        kind = chance.choice(["report"] * 8 + ["silent", "connected"])
        add("status", at, type=kind, channels=channels, messages=chance.randrange(99), age=chance.randrange(10**7))
    for _ in range(80):
        kind, differed = chance.choice(["report", "report", "difference"]), chance.choice([0, 0, 2])
        check = chance.choice(["book", "book", "candle"])
        add(
            "quality",
            NOW - chance.randrange(120 * MINUTE),
            type=kind,
            check=check,
            compared=9,
            agreed=9 - differed,
            differed=differed,
        )
    for n in range(40):
        since = NOW - chance.randrange(1, 120 * MINUTE)
        exchange, symbol = chance.choice(INSTRUMENTS)
        gap = {"id": str(n), "since": since, "channel": chance.choice(["books", "trades"])}
        gap |= {"exchange": exchange, "symbol": symbol}
        add("gaps", min(since + chance.randrange(5 * MINUTE), NOW - 1), type="opened", **gap)
        closed = since + chance.choice([0, 1, MINUTE, 17 * MINUTE, 60 * MINUTE])
        if closed < NOW:
            add("gaps", closed, type="closed", **gap)
    return data


DATA = made_events(5)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with prism(tmp_path_factory.mktemp("quality")) as made:
        for table, rows in DATA.items():
            made.store(table, rows)
        made.store("status", [event("market.status", symbol="BTC", local_timestamp=NOW - 1)])  # a currency: no feed
        yield made


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the time at which requests are answered."""
    monkeypatch.setattr("marketprism.api.spans.now_us", lambda: NOW)


def expected(start: int, columns: int, step: int) -> dict[tuple[str, str], list[Row | None]]:
    """Return the cells by feed and channel."""
    rows: dict[tuple[str, str], list[Row | None]] = {}

    def cell(row: Row, channel: str, at: int) -> Row:
        cells = rows.setdefault((feed_of(row["exchange"], row["symbol"]).name, channel), [None] * columns)
        column = (at - start) // step
        found = cells[column] or dict.fromkeys(("messages", "max_age", "gaps", "gap_time", "differed", "silent"), 0)
        cells[column] = found
        return found

    for row in DATA["status"]:
        if row["local_timestamp"] >= start and row["type"] in ("report", "silent"):
            found = cell(row, row["channels"][0], row["local_timestamp"])
            if row["type"] == "report":
                found["messages"] += row["messages"]
                found["max_age"] = max(found["max_age"], row["age"])
            found["silent"] += row["type"] == "silent"
    for row in DATA["quality"]:
        if row["local_timestamp"] >= start and is_report_of_books(row) and row["differed"]:
            cell(row, "books", row["local_timestamp"])["differed"] += row["differed"]
    for events in by_id(DATA["gaps"]):
        since = events[0]["since"]
        closed = next((row["local_timestamp"] for row in events if row["type"] == "closed"), NOW)
        for n in range(columns):
            begin, end = start + n * step, start + (n + 1) * step
            if begin <= since < end or max(since, begin) < min(closed, end):
                found = cell(events[0], events[0]["channel"], begin)
                found["gaps"] += begin <= since < end
                found["gap_time"] += max(0, min(closed, end) - max(since, begin))
    return rows


def is_report_of_books(row: Row) -> bool:
    return bool(row["type"] == "report" and row["check"] == "book")


def by_id(gaps: list[Row]) -> list[list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in gaps:
        groups.setdefault(row["id"], []).append(row)
    return list(groups.values())


@pytest.mark.parametrize(("hours", "columns"), [(1, 60), (1, 7), (2, 200), (24, 1)])
async def test_the_map_equals_a_computation(stored: Prism, hours: int, columns: int) -> None:
    """Every cell of every channel of every feed."""
    found = await stored.get("quality/map", hours=hours, columns=columns)
    assert found["end"] == NOW
    assert found["step"] * columns == NOW - found["start"]
    assert 0 <= hours * 60 * MINUTE - (NOW - found["start"]) < columns
    cells = expected(found["start"], columns, found["step"])
    assert {(row["feed"], row["channel"]): row["cells"] for row in found["rows"]} == cells
    names = [row["feed"] for row in found["rows"]]
    assert names == sorted(names, key=["binance-spot", "binance-usdm", "binance-coinm", "okx", "deribit"].index)


async def test_the_truth_check(stored: Prism) -> None:
    """Comparisons of each instrument in the span, those that differ most first."""
    found = (await stored.get("quality/map", hours=1))["truth"]
    reports = [
        row for row in DATA["quality"] if is_report_of_books(row) and row["local_timestamp"] >= NOW - 60 * MINUTE
    ]
    for each in found:
        rows = [row for row in reports if (row["exchange"], row["symbol"]) == (each["exchange"], each["symbol"])]
        for name in ("compared", "agreed", "differed"):
            assert each[name] == sum(row[name] for row in rows)
    assert sum(each["compared"] for each in found) == sum(row["compared"] for row in reports)
    assert [each["differed"] for each in found] == sorted((each["differed"] for each in found), reverse=True)


async def test_what_is_wrong_now(stored: Prism) -> None:
    """Open gaps and silent channels are those of the topics."""
    opened = event("market.gaps", id="a", type="opened", exchange="okx")
    gone = event("market.gaps", id="b", type="opened", exchange="okx")
    silent = event("market.status", type="silent", exchange="okx", channels=["trades"])
    stored.apply("gaps", opened, gone, gone | {"type": "closed"})
    stored.apply("status", silent)
    found = await stored.get("quality/map")
    assert found["gaps"] == [opened]
    assert found["silent"] == [{"feed": "okx", "channel": "trades:BTC-USDT"}]


@pytest.mark.parametrize("parameters", [{"hours": 0}, {"hours": 169}, {"columns": 0}, {"columns": 201}])
async def test_what_is_out_of_bounds(stored: Prism, parameters: dict[str, Any]) -> None:
    """The bounds of every parameter hold."""
    assert (await stored.answer("quality/map", **parameters)).status_code == 422
