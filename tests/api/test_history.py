"""Past events: each as the topics had it, and pages that neither leave out nor repeat any."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest

from schemas.events import EVENTS
from tests.api.history_data import Prism, Row, prism
from tests.sinks.events import DAY, event

SPAN = {"from": str(DAY), "to": str(DAY + 86_400_000_000)}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    """Store one event of each kind, and many trades."""
    with prism(tmp_path_factory.mktemp("history")) as made:
        for topic, model in EVENTS.items():
            if topic != "market.trades":
                made.store(model.table_name, [event(topic)])
        for partition in (0, 1):
            made.store(
                "trades", [row for row in TRADES if row["source"].startswith(f"binance:{partition}:")], partition
            )
        yield made


def made_trades(number: int) -> list[Row]:
    """Return trades of two instruments and partitions, most of which share their time of receipt with others."""
    chance, rows = random.Random(7), []
    for n in range(number):
        rows.append(
            event(
                "market.trades",
                f"binance:{n % 2}:{n}:0:0",
                exchange=("binance", "okx")[n % 2],
                local_timestamp=DAY + chance.randrange(12),
                id=str(n),
                price=f"{chance.randrange(1, 10**6)}.25",
            )
        )
    return rows


TRADES = made_trades(120)


async def walk(prism: Prism, table: str, **parameters: Any) -> list[Row]:
    """Return the events of all pages."""
    found: list[Row] = []
    while True:
        page = await prism.get(f"{table}/history", **parameters)
        assert len(page["items"]) <= parameters.get("limit", 100)
        found += page["items"]
        if page["next"] is None:
            return found
        assert page["items"]
        parameters["cursor"] = page["next"]


def normal(value: Any) -> Any:
    """Return an event with decimals as ClickHouse has them: without zeros at their end."""
    if isinstance(value, dict):
        return {name: normal(each) for name, each in value.items()}
    if isinstance(value, list):
        return [normal(each) for each in value]
    if isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit() and "." in value:
        return f"{Decimal(value).normalize():f}"
    return value


@pytest.mark.parametrize("topic", [topic for topic in EVENTS if topic != "market.trades"])
async def test_events_come_back_as_they_were(stored: Prism, topic: str) -> None:
    """Every field of every kind is the topic's, and the whole is a valid event."""
    model = EVENTS[topic]
    (found,) = (await stored.get(f"{model.table_name}/history", **SPAN))["items"]
    model.model_validate_json(orjson.dumps(found), strict=True)
    assert found == normal(event(topic))
    assert list(found) == list(model.model_fields)


@pytest.mark.parametrize("limit", [7, 40, 120])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_hold_each_event_once(stored: Prism, limit: int, order: str) -> None:
    """The pages together are all events in order, although many have the same time."""
    found = await walk(stored, "trades", limit=limit, order=order, **SPAN)
    assert len(found) == len(TRADES)
    assert sorted(row["id"] for row in found) == sorted(row["id"] for row in TRADES)
    times = [row["local_timestamp"] for row in found]
    assert times == sorted(times, reverse=order == "desc")


async def test_pages_of_an_instrument(stored: Prism) -> None:
    """Filters hold on every page."""
    found = await walk(stored, "trades", exchange="okx", symbol="btc-usdt", limit=7, **SPAN)
    assert [row["id"] for row in found] == [
        row["id"]
        for row in sorted(TRADES, key=lambda row: (row["local_timestamp"], int(row["id"])))
        if row["exchange"] == "okx"
    ]


async def test_a_cursor_keeps_the_span(stored: Prism) -> None:
    """The span is that of the first page: a page that is asked for later is not of another hour."""
    first = await stored.get("trades/history", limit=100, **SPAN)
    rest = await stored.get("trades/history", limit=100, cursor=first["next"])
    assert len(rest["items"]) == 20


async def test_the_span_is_half_open(stored: Prism) -> None:
    """`from` is within, `to` is not."""
    found = await walk(stored, "trades", **{"from": DAY + 3, "to": DAY + 5})
    assert {row["local_timestamp"] for row in found} == {DAY + 3, DAY + 4}


async def test_by_default_the_last_hour(stored: Prism) -> None:
    """Of years ago there is nothing in the last hour."""
    assert await stored.get("trades/history") == {"items": [], "next": None}


@pytest.mark.parametrize(("exchange", "count"), [("binance", 1), ("okx", 1), ("htx", 0)])
async def test_signals_of_an_exchange_buy_or_sell_there(stored: Prism, exchange: str, count: int) -> None:
    """A signal has two exchanges; either is its."""
    assert len((await stored.get("signals/history", exchange=exchange, **SPAN))["items"]) == count


@pytest.mark.parametrize(
    ("parameters", "status", "detail"),
    [
        ({"from": "yesterday"}, 422, "is not a time"),
        ({"from": "2024-01-02", "to": "2024-01-01"}, 422, "`from` is not before `to`"),
        ({"cursor": "asc.1.2"}, 422, "cursor"),
        ({"cursor": "asc.1.2.3.4.5\n"}, 422, "cursor"),
        ({"cursor": "asc.1.2.3.4.5", "to": "never"}, 422, "is not a time"),
        ({"limit": 0}, 422, "limit"),
        ({"limit": 1001}, 422, "limit"),
        ({"order": "up"}, 422, "order"),
        ({"symbol": "BTC\0"}, 422, "symbol"),
        ({"symbol": "x" * 81}, 422, "symbol"),
        ({"exchange": "binanse"}, 404, "did you mean binance"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    stored: Prism, parameters: dict[str, Any], status: int, detail: str
) -> None:
    """The answer says what is wrong with the request."""
    answer = await stored.answer("trades/history", **parameters)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("symbol", ["\\", "\\N", "a\\tb", "';DROP", "{x:String}", "币安人生-USDT", "🦀", "%"])
async def test_odd_symbols_are_only_names(stored: Prism, symbol: str) -> None:
    """No text changes the query, and a backslash means itself."""
    row = event("market.trades", f"htx:0:{ord(symbol[-1])}:0:0", exchange="htx", symbol=symbol.upper())
    stored.store("trades", [row], partition=3)
    found = await walk(stored, "trades", exchange="htx", symbol=symbol, **SPAN)
    assert [each["source"] for each in found] == [row["source"]]


async def test_cursors_of_any_numbers_are_answered(stored: Prism) -> None:
    """The largest cursor that is one is beyond everything stored."""
    largest = f"asc.0.{'9' * 16}.{'9' * 16}.{'9' * 5}.{'9' * 18}"
    assert await stored.get("trades/history", cursor=largest) == {"items": [], "next": None}


async def test_events_of_a_type(stored: Prism) -> None:
    """Events that have a type can be asked for by it; for others, that is an error."""
    assert len((await stored.get("funding/history", type="estimated", **SPAN))["items"]) == 1
    assert (await stored.get("funding/history", type="settled", **SPAN))["items"] == []
    assert (await stored.answer("trades/history", type="settled")).status_code == 422
