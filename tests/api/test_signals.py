"""Open opportunities, and what those that closed were worth."""

from collections.abc import Iterator
from decimal import Decimal
from statistics import median_high
from typing import Any

import pytest

from tests.api.history_data import Prism, Row, prism
from tests.sinks.events import DAY, SIDE, event

HOUR = 3_600_000_000  # µs
NOW = DAY + 20 * HOUR + HOUR // 2
EDGES = [0, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 60_000_000, 600_000_000]


def closed(number: int, age: int, lifetime: int, **changes: Any) -> Row:
    """Return a signal that closed `age` µs ago."""
    times = {"local_timestamp": NOW - age, "opened_at": NOW - age - lifetime, "lifetime": lifetime}
    return event("signals.arbitrage", f"join:0:{number}:0:0", id=str(number), **(times | changes))


def some_signals() -> list[Row]:
    rows = []
    for n in range(60):
        buy, sell = (("binance", "okx"), ("okx", "htx"), ("htx", "binance"))[n % 3]
        rows.append(
            closed(
                n,
                n * HOUR // 3 + 1,
                (n * 7919) % 1_000 * 10 ** (n % 7),
                symbol=("BTC-USDT", "ETH-USDT")[n % 2],
                buy=SIDE | {"exchange": buy},
                sell=SIDE | {"exchange": sell},
                peak_profit=f"{n}.000000000000000001",
            )
        )
    opened = event("signals.arbitrage", "join:0:99:0:0", type="opened", local_timestamp=NOW - 5, opened_at=NOW - 5)
    return [*rows, opened]


SIGNALS = some_signals()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with prism(tmp_path_factory.mktemp("signals")) as made:
        made.store("signals", SIGNALS)
        yield made


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the time at which requests are answered."""
    monkeypatch.setattr("marketprism.api.spans.now_us", lambda: NOW)


@pytest.mark.parametrize(("hours", "symbol"), [(24, None), (5, None), (12, "eth-usdt"), (1, "NONE-USDT"), (168, None)])
async def test_statistics_equal_a_computation(stored: Prism, hours: int, symbol: str | None) -> None:
    """Counts, profits, lifetimes and medians are those of the signals that closed in the last hours."""
    found = await stored.get("signals/statistics", hours=hours, **({"symbol": symbol} if symbol else {}))
    rows = [row for row in SIGNALS if row["type"] == "closed" and row["local_timestamp"] >= NOW - hours * HOUR]
    rows = [row for row in rows if symbol is None or row["symbol"] == symbol.upper()]
    assert found["opportunities"] == len(rows)
    assert Decimal(found["profit"]) == profit(rows)
    bars = zip(EDGES, [*EDGES[1:], None], strict=True)
    assert found["lifetimes"] == [
        {"from_us": start, "to_us": end, "count": sum(start <= row["lifetime"] < (end or 1e18) for row in rows)}
        for start, end in bars
    ]
    assert [bar["start"] for bar in found["hours"]] == [DAY + n * HOUR for n in range(20 - hours, 21)]
    for bar in found["hours"]:
        within = [row for row in rows if bar["start"] <= row["local_timestamp"] < bar["start"] + HOUR]
        assert (bar["count"], Decimal(bar["profit"])) == (len(within), profit(within))
    assert found["routes"] == routes_of(rows)


def profit(rows: list[Row]) -> Decimal:
    return sum((Decimal(row["peak_profit"]) for row in rows), Decimal())


def routes_of(rows: list[Row]) -> list[Row]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["buy"]["exchange"], row["sell"]["exchange"], row["symbol"]), []).append(row)
    found = [
        {
            "buy_exchange": buy,
            "sell_exchange": sell,
            "symbol": symbol,
            "count": len(group),
            "profit": f"{profit(group).normalize():f}",
            "lifetime_median": median_high(row["lifetime"] for row in group),
        }
        for (buy, sell, symbol), group in groups.items()
    ]
    return sorted(found, key=lambda route: -Decimal(route["profit"]))


async def test_open_signals(stored: Prism) -> None:
    """The newest event of each that has opened and not closed."""
    first, second = event("signals.arbitrage", id="a", type="opened"), event("signals.arbitrage", id="b", type="opened")
    other = event("signals.arbitrage", id="c", type="opened", symbol="ETH-USDT")
    updated = event("signals.arbitrage", id="b", type="updated", profit="7")
    stored.apply("signals", first, second, other, updated, first | {"type": "closed"})
    assert await stored.get("signals/open") == [updated, other]


@pytest.mark.parametrize("parameters", [{"hours": 0}, {"hours": 169}, {"hours": "x"}, {"symbol": ""}])
async def test_what_is_out_of_bounds(stored: Prism, parameters: dict[str, Any]) -> None:
    """The bounds of every parameter hold."""
    assert (await stored.answer("signals/statistics", **parameters)).status_code == 422
