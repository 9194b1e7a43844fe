"""The API of a whole system: its books are the exchanges' true books, in every form."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketprism.local.broker import free_port
from marketprism.local.roles import DASHBOARD
from marketprism.simulator import BookView, Simulators
from schemas.feeds import FEEDS
from schemas.settings import Settings
from tests.e2e.pipeline import Pipeline

SPOT = [("binance-spot", "BTC-USDT"), ("okx", "BTC-USDT"), ("htx-spot", "BTC-USDT"), ("okx", "ETH-USDT")]
DEPTH = 20  # levels that every feed's book holds

Level = tuple[Decimal, Decimal]
Sides = dict[str, list[Level]]


@pytest.fixture
async def still(settings: Settings, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Simulators]]:
    """Run the system for some seconds, and then hold the market still."""
    async with Simulators(seed=3) as simulators:
        symbols = sorted({symbol for _, symbol in SPOT})
        run = Settings(
            **settings.model_dump()
            | {"endpoints": simulators.endpoints, "symbols": symbols, "api_address": f"127.0.0.1:{free_port()}"}
        )
        async with Pipeline(run, tmp_path / "logs") as pipeline:
            await pipeline.sink()
            await pipeline.start(DASHBOARD.name, *DASHBOARD.arguments, ready=DASHBOARD.ready)
            await pipeline.worker()
            await pipeline.ingest()
            async with httpx.AsyncClient(base_url=f"http://{run.api_address}/api", timeout=30) as client:
                await _until_live(client)
                simulators.pause()
                yield client, simulators


async def _until_live(client: httpx.AsyncClient) -> None:
    for feed, symbol in SPOT:
        while (await client.get(f"/books/{FEEDS[feed].exchange}/{symbol}")).status_code != 200:
            await asyncio.sleep(0.2)
    await asyncio.sleep(3)


@pytest.mark.e2e
async def test_every_book_is_the_true_book(still: tuple[httpx.AsyncClient, Simulators]) -> None:
    """Each endpoint's figures are those of the exchange's true book."""
    client, simulators = still
    for feed, symbol in SPOT:
        true = simulators.true_book(feed, symbol)
        path = f"/books/{FEEDS[feed].exchange}/{symbol}"
        while (await _get(client, path))["sequence"] < true.sequence:
            await asyncio.sleep(0.1)
        await _check(client, path, _sides(true))
    await _check_all_exchanges(client, simulators)


async def _get(client: httpx.AsyncClient, path: str, **parameters: Any) -> Any:
    response = await client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def _sides(true: BookView) -> Sides:
    return {"bids": _levels(true.bids), "asks": _levels(true.asks)}


def _levels(levels: list[Any]) -> list[Level]:
    return [(Decimal(str(price)), Decimal(str(amount))) for price, amount in levels]


async def _check(client: httpx.AsyncClient, path: str, true: Sides) -> None:
    top = {side: levels[:DEPTH] for side, levels in true.items()}
    (bid, bid_amount), (ask, ask_amount) = true["bids"][0], true["asks"][0]
    book = await _get(client, path, depth=DEPTH)
    assert book["state"] == "live"
    for side, levels in top.items():
        assert [(Decimal(level["price"]), Decimal(level["amount"])) for level in book[side]] == levels
    legacy = await _get(client, path, depth=DEPTH, format="legacy")
    assert {side: _levels(legacy[side]) for side in top} == top
    best = await _get(client, f"{path}/best")
    assert [Decimal(best[name]) for name in ("bid", "bid_amount", "ask", "ask_amount")] == [
        bid, bid_amount, ask, ask_amount,
    ]  # fmt: skip
    spread = await _get(client, f"{path}/spread")
    assert (Decimal(spread["spread"]), Decimal(spread["mid"])) == (ask - bid, (ask + bid) / 2)
    cumulative = await _get(client, f"{path}/cumulative", depth=DEPTH)
    assert Decimal(cumulative["asks"][-1]["cumulative_amount"]) == sum(amount for _, amount in top["asks"])
    imbalance = await _get(client, f"{path}/imbalance", depth=5)
    assert Decimal(imbalance["bid_amount"]) == sum(amount for _, amount in true["bids"][:5])
    within = await _get(client, f"{path}/within", bps=2)
    near = [amount for price, amount in true["asks"] if (price - ask) * 10_000 <= 2 * ask]
    assert (within["asks"]["levels"], Decimal(within["asks"]["amount"])) == (len(near), sum(near))
    await _check_cost(client, path, true["asks"])
    assert (await _get(client, f"{path}/health"))["open_gaps"] == []
    assert (await _get(client, f"{path}/statistics"))["updates_per_second"] > 0
    past: list[Level] = []
    while past != top["asks"]:  # until the last update is stored
        found = await _get(client, f"{path}/at", time="now", depth=DEPTH)
        past = [(Decimal(level["price"]), Decimal(level["amount"])) for level in found["asks"]]


async def _check_cost(client: httpx.AsyncClient, path: str, asks: list[Level]) -> None:
    """Check the cost of all of three levels and half of the fourth."""
    amount = sum((size for _, size in asks[:3]), Decimal(0)) + asks[3][1] / 2
    value = sum((price * size for price, size in asks[:3]), Decimal(0)) + asks[3][0] * asks[3][1] / 2
    cost = await _get(client, f"{path}/cost", side="buy", amount=str(amount))
    assert (Decimal(cost["value"]), cost["levels"], cost["filled"]) == (value, 4, True)
    assert Decimal(cost["worst_price"]) == asks[3][0]


async def _check_all_exchanges(client: httpx.AsyncClient, simulators: Simulators) -> None:
    """Check what combines the books of several exchanges."""
    feeds = [feed for feed, symbol in SPOT if symbol == "BTC-USDT"]
    true = {FEEDS[feed].exchange: _sides(simulators.true_book(feed, "BTC-USDT")) for feed in feeds}
    merged = await _get(client, "/symbols/BTC-USDT/merged", depth=5)
    bids = sorted((level for sides in true.values() for level in sides["bids"]), reverse=True)
    assert Decimal(merged["bids"][0]["price"]) == bids[0][0]
    assert sorted(merged["exchanges"]) == sorted(true)
    comparison = await _get(client, "/symbols/BTC-USDT/comparison")
    assert {row["exchange"]: Decimal(row["ask"]) for row in comparison["rows"]} == {
        exchange: sides["asks"][0][0] for exchange, sides in true.items()
    }
    assert len(await _get(client, "/symbols/BTC-USDT/books")) == len(true)
    several = await _get(client, "/books", symbol=["BTC-USDT", "ETH-USDT"], exchange="okx", format="simple")
    assert {book["symbol"] for book in several} == {"BTC-USDT", "ETH-USDT"}
    feeds_found = await _get(client, "/feeds")
    assert {feed["feed"] for feed in feeds_found} >= set(feeds)
