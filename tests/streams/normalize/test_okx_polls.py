"""The answers of OKX's REST API are parsed to the rows of their series, oldest first."""

from typing import Any

import pytest

from schemas.errors import FrameError
from schemas.instruments import Instrument, instrument_of_key
from schemas.markers import answer_of
from streams.normalize import parse_answer
from streams.normalize.messages import Normalized, Rejected, SeriesRow
from tests.frames import MS, dumps, okx

NOW = 1_790_000_000_000_001  # µs of receipt
STATISTICS = "/api/v5/rubik/stat"
CONTRACTS = f"{STATISTICS}/contracts"
PAYMENTS = "/api/v5/public/funding-rate-history"
PERIOD = 300_000  # ms
OLDER, NEWER, RUNNING = (MS // PERIOD * PERIOD - back * PERIOD for back in (2, 1, 0))
BTC = instrument_of_key("okx:BTC")


def answer(
    path: str, data: Any, instrument: Instrument, query: str, code: str = "0", now: int = NOW
) -> list[Normalized]:
    body = dumps({"code": code, "msg": "", "data": data})
    return parse_answer(answer_of("any", f"{path}?{query}", MS * 1000, body), instrument, now)


def row(scope: str, at: int, **figures: str) -> SeriesRow:
    fields = {"scope": scope, "period": "5m", "long": None, "short": None, "ratio": None} | figures
    return SeriesRow("market.long_short_ratios", f"{scope} 5m", at * 1000, fields)


@pytest.mark.parametrize(
    ("path", "scope", "instrument", "query"),
    [
        (f"{CONTRACTS}/long-short-account-ratio-contract-top-trader", "top_accounts", okx.SWAP, "instId=BTC-USDT-SWAP"),
        (
            f"{CONTRACTS}/long-short-position-ratio-contract-top-trader",
            "top_positions",
            okx.SWAP,
            "instId=BTC-USDT-SWAP",
        ),
        (f"{CONTRACTS}/long-short-account-ratio-contract", "all_accounts", okx.SWAP, "instId=BTC-USDT-SWAP"),
        (f"{CONTRACTS}/long-short-account-ratio", "all_accounts", BTC, "ccy=BTC"),
    ],
)
def test_ratios(path: str, scope: str, instrument: Instrument, query: str) -> None:
    """OKX publishes the ratio alone. The period that is still running is left out."""
    rows = [[str(RUNNING), "1.3"], [str(NEWER), "1.2"], [str(OLDER), "1.1"]]
    found = answer(path, rows, instrument, f"{query}&period=5m")
    assert found == [row(scope, OLDER, ratio="1.1"), row(scope, NEWER, ratio="1.2")]
    later = answer(path, rows, instrument, f"{query}&period=5m", now=(RUNNING + PERIOD) * 1000)
    assert later == [*found, row(scope, RUNNING, ratio="1.3")]


@pytest.mark.parametrize(
    ("path", "instrument", "query"),
    [
        (f"{STATISTICS}/taker-volume-contract", okx.SWAP, "instId=BTC-USDT-SWAP&unit=0"),
        (f"{STATISTICS}/taker-volume", BTC, "ccy=BTC&instType=CONTRACTS"),
    ],
)
def test_taker_volumes(path: str, instrument: Instrument, query: str) -> None:
    """Takers sold the first and bought the second of two volumes."""
    found = answer(path, [[str(NEWER), "12.5", "30.25"]], instrument, f"{query}&period=5m")
    assert found == [row("taker_volume", NEWER, long="30.25", short="12.5")]


def test_funding_history() -> None:
    """The settled rate is published, not the forecast."""
    rows = [
        {"instId": "BTC-USDT-SWAP", "fundingRate": "0.0003", "realizedRate": rate, "fundingTime": str(at)}
        for at, rate in ((NEWER, "-0.0001"), (OLDER, "0.00025"))
    ]
    others = {"interval_hours": None, "next_funding_at": None, "mark_price": None, "index_price": None}
    assert answer(PAYMENTS, rows, okx.SWAP, "instId=BTC-USDT-SWAP") == [
        SeriesRow("market.funding", "settled", at * 1000, {"type": "settled", "rate": rate, **others})
        for at, rate in ((OLDER, "0.00025"), (NEWER, "-0.0001"))
    ]


def test_no_rows() -> None:
    """An instrument may have no statistics yet."""
    path = f"{CONTRACTS}/long-short-account-ratio-contract"
    assert answer(path, [], okx.SWAP, "instId=BTC-USDT-SWAP&period=5m") == []


def test_malformed_row_costs_only_itself() -> None:
    """The other rows are parsed."""
    path = f"{CONTRACTS}/long-short-account-ratio-contract"
    good, bad = answer(path, [[str(NEWER), "x"], [str(OLDER), "1"]], okx.SWAP, "instId=BTC-USDT-SWAP&period=5m")
    assert good == row("all_accounts", OLDER, ratio="1")
    assert isinstance(bad, Rejected)
    assert bad.reason == "row 1 of 2: not a decimal: 'x'"


@pytest.mark.parametrize(
    ("data", "query", "code", "reason"),
    [
        ([], "instId=BTC-USDT-SWAP&period=5m", "51001", "rejected: '51001'"),
        ([[str(NEWER), "1"]], "instId=ETH-USDT-SWAP&period=5m", "0", "received on the subscription of 'BTC-USDT-SWAP'"),
        ([[str(NEWER), "-1"]], "instId=BTC-USDT-SWAP&period=5m", "0", "not a price or amount"),
        ([[str(NEWER)]], "instId=BTC-USDT-SWAP&period=5m", "0", "a list of the wrong length"),
        ([["soon", "1"]], "instId=BTC-USDT-SWAP&period=5m", "0", "not a number"),
        ({}, "instId=BTC-USDT-SWAP&period=5m", "0", "not a list of rows"),
        ([], "period=5m", "0", "missing field 'instId'"),
    ],
)
def test_malformed_answers_have_a_reason(data: Any, query: str, code: str, reason: str) -> None:
    """A malformed answer is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        answer(f"{CONTRACTS}/long-short-account-ratio-contract", data, okx.SWAP, query, code)


def test_malformed_funding_history() -> None:
    """A payment without a settled rate is rejected."""
    with pytest.raises(FrameError, match="not a number"):
        answer(PAYMENTS, [{"realizedRate": "", "fundingTime": str(NEWER)}], okx.SWAP, "instId=BTC-USDT-SWAP")
