"""What ingest asks for while a book's socket fails is answered by every simulated exchange as by the real one."""

from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import pytest

from ingest.exchanges import CONNECTORS
from marketprism.simulator import Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.instruments import assumed_instrument
from schemas.markers import answer_of
from streams.levels import texts_of
from streams.normalize import parse_answer
from streams.normalize.messages import RestQuote
from tests.simulator.clients import get


@pytest.mark.parametrize("feed", FEEDS)
async def test_answers(feed: str) -> None:
    """The answer is parsed to the best levels of the true book, and does not count as an error."""
    connector = CONNECTORS[feed]()
    row = connector.best_levels
    symbol = next(each.symbol for each in LISTINGS if each.feed == feed)
    instrument = assumed_instrument(feed, FEEDS[feed].exchange, symbol).model_copy(update={"contract_size": "1"})
    query = row.query(instrument.exchange_symbol)
    async with (
        Simulators([feed], rate=0) as simulators,
        aiohttp.ClientSession() as http,
        http.get(simulators.endpoints[feed]["rest"] + row.path, params=query) as response,
    ):
        body = await response.read()
        true = simulators.true_book(feed, symbol)
    assert not connector.is_error(body)
    [quote] = parse_answer(answer_of("books", f"{row.path}?{urlencode(query)}", 0, body), instrument, 0)
    assert isinstance(quote, RestQuote)
    for side, expected in ((quote.bids, true.bids), (quote.asks, true.asks)):
        levels = [(Decimal(price), Decimal(amount)) for price, amount in map(texts_of, side)]
        assert 5 <= len(levels) <= 20
        assert levels == [(Decimal(price), Decimal(amount)) for price, amount in expected[: len(levels)]]


@pytest.mark.parametrize(
    ("feed", "path", "query"),
    [
        ("okx", "/api/v5/market/books", {"instId": "NO-SUCH"}),
        ("htx-spot", "/market/depth", {"symbol": "nosuch", "type": "step0"}),
        ("htx-spot", "/market/depth", {"symbol": "btcusdt", "type": "step9"}),
        ("htx-linear", "/linear-swap-ex/market/depth", {"contract_code": "BTC-USDT", "type": "step99"}),
    ],
)
async def test_errors(feed: str, path: str, query: dict[str, str]) -> None:
    """Errors that come with HTTP status 200 are recognised."""
    async with (
        Simulators([feed], rate=0) as simulators,
        aiohttp.ClientSession() as http,
        http.get(simulators.endpoints[feed]["rest"] + path, params=query) as response,
    ):
        assert CONNECTORS[feed]().is_error(await response.read())


async def test_merged_levels() -> None:
    """From step 1 on, prices of spot are merged, and fewer levels may be asked for."""
    async with Simulators(["htx-spot"], rate=0) as simulators:
        ask = {"symbol": "btcusdt", "depth": 5}
        _, merged, _ = await get(simulators, "htx-spot", "/market/depth", type="step1", **ask)
        _, whole, _ = await get(simulators, "htx-spot", "/market/depth", type="step0", symbol="btcusdt")
    assert len(merged["tick"]["bids"]) == 5
    assert merged["tick"]["bids"] != whole["tick"]["bids"][:5]
    assert len(whole["tick"]["asks"]) > 5
