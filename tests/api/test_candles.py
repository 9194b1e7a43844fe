"""Candles of any interval, of the exchange and of trades."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.api.history_data import Prism, Row, prism
from tests.sinks.events import DAY, event

SECOND, MINUTE = 1_000_000, 60_000_000  # µs
HOURS_LONG = 2
ENDED = {"from": DAY, "to": DAY + 86_400 * SECOND}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    """Store trades of two hours, and the exchange's candles of two intervals."""
    with prism(tmp_path_factory.mktemp("candles")) as made:
        made.store("trades", TRADES)
        made.store("candles", UPDATES)
        made.apply("instruments", event("market.instruments", exchange="okx"))
        yield made


def some_trades() -> list[Row]:
    """Return trades on and off the book, in order of receipt, many with equal times."""
    chance, rows = random.Random(3), []
    for n in range(1_500):
        stamp = DAY + chance.randrange(HOURS_LONG * 3600) * SECOND + chance.choice([0, 999_999])
        rows.append(
            event(
                "market.trades",
                f"binance:0:{n}:0:0",
                timestamp=stamp,
                local_timestamp=DAY + 9_000 * SECOND + n,
                id=str(n),
                price=f"{chance.randrange(100, 200)}.{chance.randrange(1, 100):02}",
                amount=f"{chance.randrange(1, 50)}.5",
                kind=chance.choice(["normal", "normal", "liquidation", "block"]),
            )
        )
    return rows


def some_updates() -> list[Row]:
    """Return updates of the exchange's candles, the last ones closed, among some of other instruments."""
    rows: list[Row] = []

    def add(start: int, volume: str | None, closed: bool, **changes: Any) -> None:
        times = {"start": start, "end": start + MINUTE, "local_timestamp": start + MINUTE + len(rows)}
        rows.append(
            event(
                "market.candles",
                f"binance:0:{len(rows)}:0:0",
                **(times | {"volume": volume, "closed": closed} | changes),
            )
        )

    for n in range(10):
        add(DAY + n * MINUTE, "1.5", False)
        add(DAY + n * MINUTE, f"{n}.25" if n else None, n != 9)
        add(DAY + n * MINUTE, "77", True, contract="current_quarter")
        add(DAY + n * MINUTE, "88", True, symbol="ETH-USDT")
    add(DAY, "5", True, interval="1M", end=DAY + 31 * 86_400 * SECOND)
    return rows


TRADES, UPDATES = some_trades(), some_updates()


def brute_force(seconds: int) -> list[Row]:
    """Return the candles of the trades on the book, computed in Python."""
    groups: dict[int, list[Row]] = {}
    for trade in TRADES:  # in order of receipt
        if trade["kind"] != "block":
            start = trade["timestamp"] // (seconds * SECOND) * seconds * SECOND
            groups.setdefault(start, []).append(trade)
    found = []
    for start in sorted(groups):
        trades = sorted(groups[start], key=lambda trade: trade["timestamp"])
        prices = [Decimal(trade["price"]) for trade in trades]
        volume = sum(Decimal(trade["amount"]) for trade in trades)
        numbers = {"open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1], "volume": volume}
        texts = {name: f"{Decimal(number).normalize():f}" for name, number in numbers.items()}
        found.append({"start": start, "end": start + seconds * SECOND, **texts, "closed": True})
    return found


@pytest.mark.parametrize(
    ("interval", "seconds"), [("1s", 1), ("90s", 90), ("7m", 420), ("60s", 60), ("2h", 7200), ("1d", 86_400)]
)
async def test_candles_of_trades_equal_brute_force(stored: Prism, interval: str, seconds: int) -> None:
    """Any interval, exactly, also in the order of trades with equal times."""
    found = await stored.get("candles/binance/BTC-USDT", interval=interval, origin="trades", limit=1500, **ENDED)
    assert found["origin"] == "trades"
    assert found["items"] == brute_force(seconds)


async def test_of_many_the_newest(stored: Prism) -> None:
    """The limit takes the last ones, which still ascend."""
    found = await stored.get("candles/binance/BTC-USDT", interval="7m", origin="trades", limit=3, **ENDED)
    assert found["items"] == brute_force(420)[-3:]


async def test_the_span_is_as_long_as_the_limit(stored: Prism) -> None:
    """Without `from`, as many intervals as candles are asked for, until `to`."""
    to = DAY + 3600 * SECOND
    found = await stored.get("candles/binance/BTC-USDT", interval="7m", origin="trades", limit=3, to=to)
    assert found["items"] == [each for each in brute_force(420) if to - 3 * 420 * SECOND <= each["start"] < to]


@pytest.mark.parametrize("interval", ["1m", "60s"])
async def test_the_exchanges_own_come_first(stored: Prism, interval: str) -> None:
    """The last update of each counts, and an open one is open."""
    found = await stored.get("candles/binance/BTC-USDT", interval=interval, **ENDED)
    assert found["origin"] == "exchange"
    assert found["interval"] == interval
    assert [each["start"] for each in found["items"]] == [DAY + n * MINUTE for n in range(10)]
    assert [each["volume"] for each in found["items"]] == [None, *(f"{n}.25" for n in range(1, 10))]
    assert [each["closed"] for each in found["items"]] == [True] * 9 + [False]
    assert found["items"][0]["end"] == DAY + MINUTE
    assert found["items"][0]["open"] == "60000.5"


async def test_where_the_exchange_has_none_trades_take_their_place(stored: Prism) -> None:
    """The same interval of trades, and the answer says so; not if the exchange's are asked for."""
    found = await stored.get("candles/binance/BTC-USDT", interval="5m", **ENDED)
    assert (found["origin"], found["items"]) == ("trades", brute_force(300))
    # Nothing is found, and the market does not know the instrument either.
    answer = await stored.answer("candles/binance/BTC-USDT", interval="5m", origin="exchange", **ENDED)
    assert answer.status_code == 503


async def test_months_are_the_exchanges(stored: Prism) -> None:
    """Months come from the exchange only."""
    found = await stored.get("candles/binance/BTC-USDT", interval="1M", **ENDED)
    assert [(each["start"], each["volume"]) for each in found["items"]] == [(DAY, "5")]
    answer = await stored.answer("candles/binance/BTC-USDT", interval="1M", origin="trades", **ENDED)
    assert answer.status_code == 422
    assert "are not made of trades" in answer.json()["detail"]


async def test_a_known_instrument_without_candles(stored: Prism) -> None:
    """No candles are no error."""
    found = await stored.get("candles/okx/btc-usdt", interval="1m")
    assert found == {"exchange": "okx", "symbol": "BTC-USDT", "interval": "1m", "origin": "trades", "items": []}


@pytest.mark.parametrize("interval", ["0m", "m", "1", "1.5m", "-1m", "10000d", "1w2", "2w", "1m\n", "١m"])
async def test_what_is_no_interval(stored: Prism, interval: str) -> None:
    """An interval is a whole number of seconds, minutes, hours or days, or a week, month, quarter or year."""
    answer = await stored.answer("candles/binance/BTC-USDT", interval=interval)
    assert answer.status_code == 422
    assert "interval" in answer.json()["detail"]


@pytest.mark.parametrize("interval", ["9999d", "1y"])
async def test_the_longest_intervals(stored: Prism, interval: str) -> None:
    """No number is too large for a query."""
    assert (await stored.answer("candles/okx/BTC-USDT", interval=interval, limit=1500)).status_code == 200
