"""The latest events of each instrument, as the topics have them."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import EVENTS
from tests.api.history_data import Api, Row, settings_in
from tests.sinks.events import event

TOPICS = {model.table_name: topic for topic, model in EVENTS.items()}


@pytest.fixture
def market(tmp_path: Path) -> Api:
    """Return an API without a database, which these routes do not ask."""
    return Api(settings_in(tmp_path))


@pytest.mark.parametrize("table", [table for table in TOPICS if table not in ("books", "instruments")])
async def test_every_kind_has_a_route(market: Api, table: str) -> None:
    """The event is the topic's JSON, unchanged."""
    row = event(TOPICS[table], "binance:0:1:0:0") | ({"type": "connected"} if table == "status" else {})
    market.apply(table, row)
    assert await market.get(table) == [row]


def quotes() -> list[Row]:
    names = [("okx", "BTC-USDT"), ("binance", "BTC-USDT-PERP"), ("binance", "ETH-USDT"), ("binance", "BTC-USDT")]
    return [event("market.quotes", exchange=exchange, symbol=symbol) for exchange, symbol in names]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["binance BTC-USDT-PERP", "binance BTC-USDT", "okx BTC-USDT", "binance ETH-USDT"]),
        ({"exchange": "OKX"}, ["okx BTC-USDT"]),
        ({"symbol": "btc-usdt"}, ["binance BTC-USDT", "okx BTC-USDT"]),
        ({"symbol": "BTC-*", "exchange": "binance"}, ["binance BTC-USDT-PERP", "binance BTC-USDT"]),
        ({"symbol": "[!"}, []),
    ],
)
async def test_filters(market: Api, parameters: dict[str, Any], found: list[str]) -> None:
    """Events are in the order of their symbols."""
    market.apply("quotes", *quotes())
    answer = await market.get("quotes", **parameters)
    assert [f"{row['exchange']} {row['symbol']}" for row in answer] == found


async def test_the_limit_keeps_the_newest_of_each(market: Api) -> None:
    """Of a kind without a latest value, the last events of each instrument, newest last."""
    for symbol in ("BTC-USDT", "ETH-USDT"):
        market.apply("trades", *(event("market.trades", f"okx:0:{n}:0:0", symbol=symbol, id=str(n)) for n in range(5)))
    answer = await market.get("trades", limit=2)
    assert [(row["symbol"], row["id"]) for row in answer] == [
        ("BTC-USDT", "3"), ("BTC-USDT", "4"), ("ETH-USDT", "3"), ("ETH-USDT", "4"),
    ]  # fmt: skip


@pytest.mark.parametrize(("exchange", "count"), [("binance", 1), ("okx", 1), ("deribit", 0)])
async def test_signals_of_an_exchange_buy_or_sell_there(market: Api, exchange: str, count: int) -> None:
    """A signal has two exchanges; either is its."""
    market.apply("signals", event("signals.arbitrage"))
    assert len(await market.get("signals", exchange=exchange)) == count


@pytest.mark.parametrize(
    ("parameters", "status"), [({"exchange": "nyse"}, 404), ({"limit": 101}, 422), ({"symbol": "a b"}, 422)]
)
async def test_problems(market: Api, parameters: dict[str, Any], status: int) -> None:
    """An unknown exchange is 404, a malformed parameter 422."""
    assert (await market.answer("quotes", **parameters)).status_code == status
