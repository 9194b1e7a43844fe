"""HTX: what of its channels and endpoints is subscribed to and polled, and how."""

from itertools import count
from typing import Any

import orjson
import pytest

from ingest.exchanges.base import Request, Route
from ingest.exchanges.htx import HtxLinear, HtxSpot
from schemas.errors import SettingsError
from schemas.events import KINDS
from tests.ingest.listings import routes

SPOT, LINEAR = HtxSpot(), HtxLinear()


def messages(requests: list[Request]) -> list[Any]:
    return [orjson.loads(request.text) for request in requests]


@pytest.mark.parametrize(
    ("variant", "path"), [("mbp.refresh.5", "/feed"), ("mbp.refresh.20", "/feed"), ("depth.step0", "/ws")]
)
def test_whole_books_of_spot(variant: str, path: str) -> None:
    """A variant whose frames are whole books needs no snapshot. Some are served by another path."""
    books = HtxSpot(["books"], variants={"books": variant})
    assert (books.paths, books.snapshots, books.seed_levels()) == ((path,), "stream", 0)
    [request] = messages(books.subscribe(routes(books, ["btcusdt"], ("books",)), count(1)))
    assert request == {"sub": f"market.btcusdt.{variant}", "id": "1"}


def test_whole_books_of_swaps() -> None:
    """They are not requested as increments."""
    books = HtxLinear(variants={"books": "depth.step6"})
    [request] = messages(books.subscribe(routes(books, ["BTC-USDT"], ("books",)), count(1)))
    assert request == {"sub": "market.BTC-USDT.depth.step6", "id": "1"}
    with pytest.raises(SettingsError, match=r"unknown variant of htx-linear:books 'depth\.step1'"):
        HtxLinear(variants={"books": "depth.step1"})


def test_figures_of_spot() -> None:
    """Tickers by one of two names, and ten intervals of candles, from the path of trades."""
    assert HtxSpot(["tickers"]).name_of("tickers") == "detail"
    assert HtxSpot(["tickers"], variants={"tickers": "ticker"}).name_of("tickers") == "ticker"
    candles = HtxSpot(["candles"])
    assert candles.paths == ("/ws",)
    assert [candles.name_of(channel) for channel in candles.channels_on("/ws")] == [
        f"kline.{period}"
        for period in (
            "1min", "5min", "15min", "30min", "60min", "4hour", "1day", "1week", "1mon", "1year",
        )
    ]  # fmt: skip
    assert HtxSpot([], channels=["candles_4h"]).channels_on("/ws") == ["candles_4h"]


def test_figures_of_swaps() -> None:
    """Mark and index prices have their own path; liquidations come from the notification socket, in its dialect."""
    swaps = HtxLinear(["mark_prices", "liquidations"], channels=["candles_1m"])
    assert swaps.paths == ("/linear-swap-ws", "/ws_index", "/linear-swap-notification")
    assert swaps.channels_of("future", "/ws_index") == ["mark_prices", "index_prices"]
    assert messages(swaps.subscribe(routes(swaps, ["BTC-USDT"], swaps.channels_on("/ws_index")), count(1))) == [
        {"sub": "market.BTC-USDT.mark_price.1min", "id": "1"},
        {"sub": "market.BTC-USDT.index.1min", "id": "2"},
    ]
    [liquidations] = messages(swaps.unsubscribe([swaps.route_of("BTC-USDT", "liquidations")], count(3)))
    assert liquidations == {"op": "unsub", "cid": "3", "topic": "public.BTC-USDT.liquidation_orders"}
    assert "candles_1y" not in swaps.channels


def test_futures_share_the_index_of_their_pair() -> None:
    """The exchange's index is of a pair, so that a future's is that of the swap."""
    assert LINEAR.route_of("BTC-USDT-261225", "index_prices") == LINEAR.route_of("BTC-USDT", "index_prices")
    assert LINEAR.route_of("BTC-USDT-261225", "mark_prices") == Route("data", "BTC-USDT-261225", "mark_prices")


def test_polls() -> None:
    """Open interest of every contract, ratios and settled funding rates of swaps. Spot polls nothing."""
    polls = HtxLinear(["open_interest", "long_short_ratios", "funding"]).polled
    assert {name: (row.path.rpartition("/")[2], row.query("BTC-USDT"), row.of) for name, row in polls.items()} == {
        "open_interest": ("swap_open_interest", {"contract_code": "BTC-USDT"}, ()),
        "top_account_ratios": (
            "swap_elite_account_ratio", {"contract_code": "BTC-USDT", "period": "5min"}, ("perp",),
        ),
        "top_position_ratios": (
            "swap_elite_position_ratio", {"contract_code": "BTC-USDT", "period": "5min"}, ("perp",),
        ),
        "funding_history": ("swap_historical_funding_rate", {"contract_code": "BTC-USDT"}, ("perp",)),
    }  # fmt: skip
    assert polls["funding_history"].rows(50) == {"page_index": "1", "page_size": "50"}
    assert not SPOT.polls


@pytest.mark.parametrize(
    ("poll", "body", "newest"),
    [
        ("top_account_ratios", {"data": {"list": [{"ts": 1790000100000}, {"ts": 1790000400000}]}}, 1790000400000),
        ("top_position_ratios", {"data": {"list": []}}, 0),
        ("funding_history", {"data": {"data": [{"funding_time": "1790000100000"}]}}, 1790000100000),
        ("funding_history", {"data": {"data": [{"funding_time": "soon"}]}}, 0),
        ("funding_history", {"status": "error"}, 0),
        ("top_account_ratios", [7], 0),
        ("open_interest", {"data": [], "ts": 1790000100000}, 0),
    ],
)
def test_newest_period_of_an_answer(poll: str, body: Any, newest: int) -> None:
    """The newest time of its rows, wherever they are; 0 if there are none, or only the current values."""
    assert LINEAR.polls[poll].newest(orjson.dumps(body)) == newest


@pytest.mark.parametrize("connector", [SPOT, LINEAR])
def test_every_kind_has_a_source_or_a_reason(connector: HtxSpot | HtxLinear) -> None:
    """Each kind is subscribed to, polled, or known to be missing. The names of channels are unique."""
    subscribed = {kind for name, row in connector.channels.items() for kind in row.kinds or (name,)}
    polled = {kind for row in connector.polls.values() for kind in row.kinds}
    assert subscribed | polled | set(connector.without) == set(KINDS)
    assert not (subscribed | polled) & set(connector.without)
    assert len({row.name for row in connector.channels.values()}) == len(connector.channels)
