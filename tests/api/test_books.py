"""The routes of order books: each form of a book, its figures, and what is answered when there is none."""

from decimal import Decimal

import pytest

from marketprism.api.spans import now_us
from tests.api.conftest import Served
from tests.api.market_data import apply, quote, snapshot

BIDS = [["99", "1.50"], ["98", "2"], ["90", "100"]]
ASKS = [["101", "1"], ["102", "3"]]
ONE = "/api/books/okx/BTC-USDT"


@pytest.fixture
def with_book(served: Served) -> Served:
    """Serve one book."""
    snapshot(served.market, BIDS, ASKS)
    return served


async def test_enhanced(with_book: Served) -> None:
    """A book has its levels with running totals, its spread, its age and its state."""
    book = await with_book.get(ONE, depth=2)
    assert [level["price"] for level in book["bids"]] == ["99", "98"]
    assert book["bids"][1] == {
        "price": "98", "amount": "2", "cumulative_amount": "3.5", "cumulative_value": "344.5",
    }  # fmt: skip
    assert (book["state"], book["spread"], book["mid"], book["spread_bps"]) == ("live", "2", "100", 200.0)
    assert book["imbalance"] == round((3.5 - 4) / 7.5, 6)
    assert 0 <= book["age"] < 5_000_000
    assert book["latency"] == 2_000


async def test_simple(with_book: Served) -> None:
    """The simple format has the best prices, as published."""
    book = await with_book.get(ONE, format="simple")
    assert (book["bid"], book["bid_amount"], book["ask"], book["ask_amount"]) == ("99", "1.50", "101", "1")
    assert book == await with_book.get(f"{ONE}/best")


async def test_legacy(with_book: Served) -> None:
    """The legacy format has arrays of numbers."""
    book = await with_book.get(ONE, format="legacy")
    assert book["bids"] == [[99, 1.5], [98, 2], [90, 100]]
    assert book["asks"] == [[101, 1], [102, 3]]
    assert set(book) == {"symbol", "timestamp", "nonce", "bids", "asks"}


async def test_unchanged_books_are_not_sent_again(with_book: Served) -> None:
    """A client that has a book gets 304 until it changes."""
    first = await with_book.client.get(ONE)
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await with_book.client.get(ONE, headers=tag)).status_code == 304
    assert (await with_book.client.get(ONE, headers=tag, params={"depth": 1})).status_code == 200
    apply(with_book.market, "market.books", type="update", bids=[["99", "0"]], asks=[])
    assert (await with_book.client.get(ONE, headers=tag)).status_code == 200


async def test_several(with_book: Served) -> None:
    """Several symbols are answered at once, on all exchanges or on some."""
    snapshot(with_book.market, BIDS, ASKS, "htx")
    snapshot(with_book.market, BIDS, ASKS, "htx", "ETH-USDT")
    found = await with_book.get("/api/books", symbol=["BTC-USDT", "ETH-USDT"], format="simple")
    assert [(book["exchange"], book["symbol"]) for book in found] == [
        ("htx", "BTC-USDT"), ("htx", "ETH-USDT"), ("okx", "BTC-USDT"),
    ]  # fmt: skip
    found = await with_book.get("/api/books", symbol=["BTC-USDT", "ETH-USDT"], exchange="okx", format="legacy")
    assert len(found) == 1
    assert len(await with_book.get("/api/symbols/BTC-USDT/books")) == 2


async def test_merged(with_book: Served) -> None:
    """Equal prices of several exchanges are one level, however they are written; stale books do not take part."""
    snapshot(with_book.market, [["99.0", "2"], ["100", "1"]], [["101", "4"]], "htx")
    snapshot(with_book.market, [["500", "2"]], [["501", "4"]], "binance")
    apply(with_book.market, "market.gaps", "binance", type="opened", channel="books")
    book = await with_book.get("/api/symbols/BTC-USDT/merged", depth=2)
    assert book["exchanges"] == ["htx", "okx"]
    assert [(level["price"], level["amount"]) for level in book["bids"]] == [("100", "1"), ("99", "3.5")]
    assert book["bids"][1]["exchanges"] == [
        {"exchange": "htx", "amount": "2"}, {"exchange": "okx", "amount": "1.50"},
    ]  # fmt: skip


async def test_figures(with_book: Served) -> None:
    """Each figure of a book is that of its levels."""
    found = await with_book.get(f"{ONE}/within", bps=120)
    assert found["bids"] == {"levels": 2, "amount": "3.5", "value": "344.5", "worst_price": "98"}
    assert found["asks"]["levels"] == 2
    found = await with_book.get(f"{ONE}/cumulative")
    assert [level["cumulative_amount"] for level in found["bids"]] == ["1.5", "3.5", "103.5"]
    found = await with_book.get(f"{ONE}/spread")
    assert (found["bid"], found["ask"], found["spread"]) == ("99", "101", "2")
    found = await with_book.get(f"{ONE}/imbalance", depth=1)
    assert (found["bid_amount"], found["ask_amount"], found["imbalance"]) == ("1.5", "1", 0.2)
    found = await with_book.get(f"{ONE}/statistics")
    assert (found["bid_levels"], found["ask_levels"], found["bid_amount"]) == (3, 2, "103.5")


async def test_cost(with_book: Served) -> None:
    """An order's cost follows from the levels that it takes."""
    found = await with_book.get(f"{ONE}/cost", side="buy", amount="2")
    assert (found["average_price"], found["worst_price"], found["value"]) == ("101.5", "102", "203")
    assert (found["levels"], found["filled"]) == (2, True)
    found = await with_book.get(f"{ONE}/cost", side="sell", value="148.5")
    assert (Decimal(found["amount"]), found["levels"], found["filled"]) == (Decimal("1.5"), 1, True)
    assert not (await with_book.get(f"{ONE}/cost", side="buy", amount="5"))["filled"]
    for wrong in ({}, {"amount": "1", "value": "1"}):
        response = await with_book.client.get(f"{ONE}/cost", params={"side": "buy"} | wrong)
        assert response.status_code == 422


async def test_health(with_book: Served) -> None:
    """A book's health has its open gaps and the truth check."""
    apply(with_book.market, "market.quality", type="report", check="book", compared=10, agreed=9, differed=1)
    apply(with_book.market, "market.quality", type="report", check="candle", compared=3, agreed=1, differed=2)
    apply(with_book.market, "market.gaps", type="opened", id="g1", cause="sequence", channel="books")
    found = await with_book.get(f"{ONE}/health")
    assert (found["state"], found["open_gaps"]) == ("stale", ["sequence"])
    assert found["truth"] == {"compared": 10, "agreed": 9, "differed": 1}
    apply(with_book.market, "market.gaps", type="closed", id="g1", cause="sequence", channel="books")
    assert (await with_book.get(f"{ONE}/health"))["open_gaps"] == []


async def test_unknown_names(with_book: Served) -> None:
    """An unknown name is a 404 that suggests what may be meant; lower case is understood."""
    quote(with_book.market, "1", "2", "htx", "ETH-USDT")
    for path, detail in {
        "/api/books/okex/BTC-USDT": "did you mean okx?",
        "/api/books/okx/BTCUSDT": "did you mean BTC-USDT?",
        "/api/books/okx/XYZ-ABC": "GET /api/instruments lists",
    }.items():
        response = await with_book.client.get(path)
        assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")
        assert detail in response.json()["detail"]
    assert (await with_book.get("/api/books/OKX/btc-usdt"))["symbol"] == "BTC-USDT"


async def test_warming(with_book: Served) -> None:
    """A book that is not known yet is a 503 that says when to ask again."""
    quote(with_book.market, "1", "2", "htx", "ETH-USDT")
    response = await with_book.client.get("/api/books/htx/ETH-USDT")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "warming" in response.json()["detail"]
    with_book.context.follower.is_current = False
    assert (await with_book.client.get("/api/books/htx/ABC-USDT")).status_code == 503
    assert (await with_book.client.get("/api/ready")).status_code == 503


async def test_updates_per_second(with_book: Served) -> None:
    """The rate counts the updates of the last minute."""
    start = now_us() - 10_000_000
    for number in range(100):
        apply(
            with_book.market, "market.books", type="update", bids=[], asks=[], local_timestamp=start + number * 100_000
        )
    found = await with_book.get(f"{ONE}/statistics")
    assert 5 < found["updates_per_second"] < 15
