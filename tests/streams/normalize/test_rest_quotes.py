"""Books that REST answers, of every feed, are parsed to quotes, or to a reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.markers import answer_of
from streams.levels import level_of
from streams.normalize import parse_answer
from streams.normalize.messages import Normalized, RestQuote
from tests.frames import MS, binance, deribit, dumps, htx, okx
from tests.streams.normalize.strategies import anything

NOW = 1_790_000_000_000_001  # µs of receipt
TEXTS = {"bids": [["86750.00", "1.20"], ["86749.50", "3"]], "asks": [["86750.10", "0.75"], ["86751.00", "2"]]}
NUMBERS = {"bids": [[86750.5, 12], [86749.5, 3]], "asks": [[86750.6, 7], [86751, 2.5]]}
OF_TEXTS = [("86750.00", "1.20"), ("86749.50", "3")], [("86750.10", "0.75"), ("86751.00", "2")]
OF_NUMBERS = [("86750.5", "12"), ("86749.5", "3")], [("86750.6", "7"), ("86751", "2.5")]
OKX_ROW = {name: [[*level, "0", "4"] for level in side] for name, side in TEXTS.items()} | {"ts": f"{MS}", "seqId": 7}

Case = tuple[Instrument, str, dict[str, Any]]
BINANCE_SPOT: Case = (binance.SPOT, "/api/v3/depth?symbol=BTCUSDT&limit=5", {"lastUpdateId": 70_000_000_160} | TEXTS)
USDM: Case = (
    binance.USDM, "/fapi/v1/depth?symbol=BTCUSDT&limit=5", {"lastUpdateId": 91, "E": MS + 9, "T": MS} | TEXTS,
)  # fmt: skip
COINM: Case = (
    binance.COINM,
    "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=5",
    {"lastUpdateId": 92, "symbol": "BTCUSD_PERP", "pair": "BTCUSD", "E": MS + 9, "T": MS} | TEXTS,
)
OKX: Case = (okx.SPOT, "/api/v5/market/books?instId=BTC-USDT&sz=5", {"code": "0", "msg": "", "data": [OKX_ROW]})
HTX_SPOT: Case = (
    htx.SPOT,
    "/market/depth?symbol=btcusdt&type=step0&depth=5",
    {
        "ch": "market.btcusdt.depth.step0", "status": "ok", "ts": MS + 9,
        "tick": NUMBERS | {"version": 180_000_000_321, "ts": MS},
    },
)  # fmt: skip
HTX_LINEAR: Case = (
    htx.LINEAR,
    "/linear-swap-ex/market/depth?contract_code=BTC-USDT&type=step6",
    {
        "ch": "market.BTC-USDT.depth.step6", "status": "ok", "ts": MS + 9,
        "tick": NUMBERS | {"mrid": 500_700_800, "id": MS // 1000, "ts": MS, "version": MS // 1000, "ch": "market"},
    },
)  # fmt: skip
DERIBIT: Case = (
    deribit.PERPETUAL,
    "/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=5",
    {
        "jsonrpc": "2.0", "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": False,
        "result": NUMBERS | {
            "instrument_name": "BTC-PERPETUAL", "timestamp": MS, "change_id": 77, "stats": {"low": 1.5},
            "best_bid_price": 86750.5, "mark_price": 86750.55, "open_interest": 9, "funding_8h": 0.0001,
        },
    },
)  # fmt: skip
CASES = {
    "binance-spot": (BINANCE_SPOT, NOW, 70_000_000_160, OF_TEXTS),  # without a time of its own
    "binance-usdm": (USDM, MS * 1000, 91, OF_TEXTS),
    "binance-coinm": (COINM, MS * 1000, 92, OF_TEXTS),
    "okx": (OKX, MS * 1000, 7, OF_TEXTS),
    "htx-spot": (HTX_SPOT, MS * 1000, 0, OF_NUMBERS),  # whose version is not the id of any update
    "htx-linear": (HTX_LINEAR, MS * 1000, 0, OF_NUMBERS),
    "deribit": (DERIBIT, MS * 1000, 77, OF_NUMBERS),
}


def parsed(case: Case, body: Any = None, path: str = "") -> list[Normalized]:
    instrument, own_path, own_body = case
    answer = answer_of("books", path or own_path, NOW, dumps(own_body if body is None else body))
    return parse_answer(answer, instrument, NOW)


@pytest.mark.parametrize("feed", CASES)
def test_quotes(feed: str) -> None:
    """The levels are kept as published, best first, with the exchange's time and update id where it sends them."""
    case, timestamp, sequence, (bids, asks) = CASES[feed]
    [quote] = parsed(case)
    expected = [level_of(*level) for level in bids], [level_of(*level) for level in asks]
    assert quote == RestQuote(timestamp, sequence, *expected, float(bids[0][0]), float(asks[0][0]))


def test_an_empty_side() -> None:
    """A side without orders is empty, or is left out by HTX."""
    [quote] = parsed(BINANCE_SPOT, BINANCE_SPOT[2] | {"bids": []})
    assert isinstance(quote, RestQuote)
    assert (quote.bids, quote.bid, quote.ask) == ([], 0.0, 86750.1)
    tick = {name: value for name, value in HTX_SPOT[2]["tick"].items() if name != "asks"}
    [quote] = parsed(HTX_SPOT, HTX_SPOT[2] | {"tick": tick})
    assert isinstance(quote, RestQuote)
    assert (quote.asks, quote.bid, quote.ask) == ([], 86750.5, 0.0)


@pytest.mark.parametrize(
    ("case", "body", "reason"),
    [
        (BINANCE_SPOT, BINANCE_SPOT[2] | {"bids": TEXTS["bids"][::-1]}, "best first"),
        (BINANCE_SPOT, BINANCE_SPOT[2] | {"asks": TEXTS["asks"][::-1]}, "best first"),
        (BINANCE_SPOT, BINANCE_SPOT[2] | {"bids": [["-1", "2"]]}, "-1"),
        (BINANCE_SPOT, BINANCE_SPOT[2] | {"bids": [["NaN", "2"]]}, "NaN"),
        (BINANCE_SPOT, TEXTS, "lastUpdateId"),
        (BINANCE_SPOT, {"code": -1121, "msg": "Invalid symbol."}, "lastUpdateId"),
        (USDM, USDM[2] | {"T": "soon"}, "int"),
        (OKX, {"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []}, "rejected: '51001'"),
        (OKX, OKX[2] | {"data": []}, "wrong length"),
        (OKX, OKX[2] | {"data": [OKX_ROW | {"seqId": "7"}]}, "sequence ids"),
        (HTX_SPOT, {"status": "error", "err-code": "invalid-parameter", "err-msg": "invalid symbol"}, "invalid symbol"),
        (HTX_LINEAR, HTX_LINEAR[2] | {"tick": NUMBERS}, "ts"),
        (HTX_LINEAR, HTX_LINEAR[2] | {"tick": {"ts": MS, "bids": [[0, 1]]}}, "above zero"),
        (DERIBIT, {"jsonrpc": "2.0", "error": {"code": -32602, "message": "Invalid params"}}, "result"),
        (DERIBIT, {"result": DERIBIT[2]["result"] | {"instrument_name": "ETH-PERPETUAL"}}, "ETH-PERPETUAL"),
        (DERIBIT, {"result": DERIBIT[2]["result"] | {"change_id": -1}}, "not an id"),
    ],
)
def test_malformed_answers(case: Case, body: Any, reason: str) -> None:
    """Everything that must not be published has a reason."""
    with pytest.raises(FrameError, match=reason):
        parsed(case, body)


@pytest.mark.parametrize("feed", [feed for feed in CASES if feed != "deribit"])  # whose answer names its instrument
def test_answers_about_another_instrument(feed: str) -> None:
    """What was asked about another instrument is rejected, as most answers do not name theirs."""
    case = CASES[feed][0]
    path = case[1].replace("BTC", "ETH").replace("btc", "eth")
    with pytest.raises(FrameError, match="frame for"):
        parsed(case, path=path)


@given(st.sampled_from(list(CASES)), anything)
def test_no_json_stops_a_partition(feed: str, body: Any) -> None:
    """Any JSON as an answer is parsed to messages or to a `FrameError`."""
    try:
        parsed(CASES[feed][0], [body])
        parsed(CASES[feed][0], body)
    except FrameError:
        pass
