"""The answers of Binance's REST API are parsed to messages, or to a reason."""

from typing import Any

import pytest

from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.markers import Answer, answer_of
from streams.normalize import parse_answer
from streams.normalize.messages import Reading, Rejected, SeriesRow
from tests.frames import MS, dumps
from tests.frames.binance import COINM, USDM

NOW = 1_790_000_000_000_001  # µs of receipt
PERIOD = 300_000  # ms


def answer(path: str, body: Any, query: str = "period=5m&limit=2") -> Answer:
    return answer_of("a channel", f"{path}?{query}", NOW, dumps(body))


def ratios(scope: str, long: str, short: str, ratio: str | None) -> dict[str, str | None]:
    return {"scope": scope, "period": "5m", "long": long, "short": short, "ratio": ratio}


@pytest.mark.parametrize(
    ("instrument", "path", "fields"),
    [
        (USDM, "/fapi/v1/openInterest", {"amount": "10659.509"}),
        (COINM, "/dapi/v1/openInterest", {"contracts": "10659.509"}),
    ],
)
def test_open_interest(instrument: Instrument, path: str, fields: dict[str, str]) -> None:
    """Open interest is in base units on USD-M, in contracts on COIN-M."""
    body = {"symbol": instrument.exchange_symbol, "pair": "BTCUSD", "openInterest": "10659.509", "time": MS}
    assert parse_answer(answer(path, body), instrument, NOW) == [Reading("market.open_interest", "", MS * 1000, fields)]


def test_settled_funding() -> None:
    """Each past payment is a row of the series, with the mark price where it is sent."""
    rows = [
        {"symbol": "BTCUSDT", "fundingTime": MS, "fundingRate": "-0.00010000", "markPrice": "86750.1", "rateType": "R"},
        {"symbol": "BTCUSDT", "fundingTime": MS + 28_800_000, "fundingRate": "0.00020000", "markPrice": ""},
    ]
    nulls = {"interval_hours": None, "next_funding_at": None, "index_price": None}
    expected = [
        SeriesRow("market.funding", "settled", at * 1000, {"type": "settled", "rate": rate, "mark_price": mark} | nulls)
        for at, rate, mark in ((MS, "-0.00010000", "86750.1"), (MS + 28_800_000, "0.00020000", None))
    ]
    assert parse_answer(answer("/fapi/v1/fundingRate", rows, "symbol=BTCUSDT"), USDM, NOW) == expected
    del rows[1]["markPrice"]
    coinm = [row | {"symbol": "BTCUSD_PERP"} for row in rows]
    assert parse_answer(answer("/dapi/v1/fundingRate", coinm), COINM, NOW) == expected


@pytest.mark.parametrize(
    ("name", "scope", "shares"),
    [
        ("topLongShortAccountRatio", "top_accounts", ("longAccount", "shortAccount")),
        ("topLongShortPositionRatio", "top_positions", ("longAccount", "shortAccount")),
        ("topLongShortPositionRatio", "top_positions", ("longPosition", "shortPosition")),
        ("globalLongShortAccountRatio", "all_accounts", ("longAccount", "shortAccount")),
    ],
)
@pytest.mark.parametrize(("instrument", "subject"), [(USDM, {"symbol": "BTCUSDT"}), (COINM, {"pair": "BTCUSD"})])
def test_ratios(
    instrument: Instrument, subject: dict[str, str], name: str, scope: str, shares: tuple[str, str]
) -> None:
    """Each period is a row of its scope. COIN-M's rows are of the pair, and its positions have names of their own."""
    long, short = shares
    row = subject | {"longShortRatio": "1.5000", long: "0.6000", short: "0.4000"}
    rows = [row | {"timestamp": MS + number * PERIOD} for number in range(2)]
    assert parse_answer(answer(f"/futures/data/{name}", rows), instrument, NOW) == [
        SeriesRow("market.long_short_ratios", f"{scope} 5m", at * 1000, ratios(scope, "0.6000", "0.4000", "1.5000"))
        for at in (MS, MS + PERIOD)
    ]


def test_taker_volumes() -> None:
    """USD-M's rows name nobody; those of COIN-M have the volumes in contracts and in coins, but no ratio."""
    row = {"buySellRatio": "1.2500", "buyVol": "500.0", "sellVol": "400.0", "timestamp": MS}
    series, found = "taker_volume 5m", ratios("taker_volume", "500.0", "400.0", "1.2500")
    assert parse_answer(answer("/futures/data/takerlongshortRatio", [row]), USDM, NOW) == [
        SeriesRow("market.long_short_ratios", series, MS * 1000, found)
    ]
    row = {"pair": "BTCUSD", "contractType": "PERPETUAL", "takerBuyVol": "387", "takerSellVol": "248", "timestamp": MS}
    row |= {"takerBuyVolValue": "0.7740", "takerSellVolValue": "0.4960"}
    found = ratios("taker_volume", "0.7740", "0.4960", None)
    assert parse_answer(answer("/futures/data/takerBuySellVol", [row]), COINM, NOW) == [
        SeriesRow("market.long_short_ratios", series, MS * 1000, found)
    ]


def test_a_malformed_row_costs_only_itself() -> None:
    """The other rows are read, and an answer without rows is no error."""
    row = {"symbol": "BTCUSDT", "fundingTime": MS, "fundingRate": "0.0001", "markPrice": "86750.1"}
    path = "/fapi/v1/fundingRate"
    rejected, good = parse_answer(answer(path, [row | {"fundingRate": "x"}, row]), USDM, NOW)
    assert isinstance(rejected, Rejected)
    assert "not a decimal: 'x'" in rejected.reason
    assert isinstance(good, SeriesRow)
    assert parse_answer(answer(path, []), USDM, NOW) == []


ROW = {"symbol": "BTCUSDT", "longShortRatio": "1.5", "longAccount": "0.6", "shortAccount": "0.4", "timestamp": MS}
MALFORMED: list[tuple[str, str, Any, str]] = [
    ("an error", "/fapi/v1/fundingRate", {"code": -1121, "msg": "Invalid symbol."}, "not a list of rows"),
    ("open interest of another", "/fapi/v1/openInterest", {"symbol": "X", "openInterest": "1", "time": MS}, "'X'"),
    ("an error for open interest", "/fapi/v1/openInterest", {"code": -1121}, "missing field 'symbol'"),
    ("ratio of another", "/futures/data/topLongShortAccountRatio", [ROW | {"symbol": "X"}], "'X'"),
    ("ratio of another pair", "/futures/data/topLongShortAccountRatio", [ROW | {"pair": "BTCUSD"}], "BTCUSD_PERP"),
    ("negative share", "/futures/data/globalLongShortAccountRatio", [ROW | {"longAccount": "-1"}], "not a price"),
    ("no time", "/futures/data/topLongShortPositionRatio", [ROW | {"timestamp": None}], "timestamp"),
    ("no volumes", "/futures/data/takerlongshortRatio", [ROW], "missing field 'buyVol'"),
    ("rows that are none", "/futures/data/takerlongshortRatio", [7], "wrong type"),
    ("another path", "/fapi/v1/nosuch", [], "unknown path"),
]


@pytest.mark.parametrize(
    ("path", "body", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_malformed_answers_have_a_reason(path: str, body: Any, reason: str) -> None:
    """A malformed answer is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse_answer(answer(path, body), USDM, NOW)


def test_a_request_without_its_period() -> None:
    """An answer is only read with the parameters that it needs."""
    with pytest.raises(FrameError, match="missing field 'period'"):
        parse_answer(answer("/futures/data/topLongShortAccountRatio", [ROW], "symbol=BTCUSDT"), USDM, NOW)
