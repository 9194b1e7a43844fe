"""The answers of HTX's REST API to polls are parsed to messages, field by field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FrameError
from schemas.markers import answer_of
from streams.normalize import parse_answer
from streams.normalize.messages import Normalized, Reading, Rejected, SeriesRow
from tests.frames import MS, dumps, htx
from tests.frames.htx import LINEAR
from tests.streams.normalize.strategies import anything

API = "/linear-swap-api/v1"
NOW = 1_790_000_000_000_001  # µs of receipt


def polled(name: str, body: bytes, query: str = "contract_code=BTC-USDT&period=5min") -> list[Normalized]:
    return parse_answer(answer_of("polled", f"{API}/{name}?{query}", 0, body), LINEAR, NOW)


def test_open_interest() -> None:
    """In contracts, coins and USDT, at the time of the answer. It counts both sides, as published."""
    fields = {"contracts": "54321000.0", "amount": "54321.0", "value": "4712402500.5"}
    expected = [Reading("market.open_interest", "", (MS + 7) * 1000, fields)]
    assert polled("swap_open_interest", htx.open_interest(), "contract_code=BTC-USDT") == expected


@pytest.mark.parametrize(
    ("name", "scope"),
    [("swap_elite_account_ratio", "top_accounts"), ("swap_elite_position_ratio", "top_positions")],
)
def test_ratios(name: str, scope: str) -> None:
    """Each period is a row, oldest first. Accounts that hold both sides are in neither; a share may be missing."""
    newest = htx.ratio_row(MS + 300_000, sell_ratio=None)
    first, second = polled(name, htx.ratios(newest, htx.ratio_row()))
    fields = {"scope": scope, "period": "5m", "long": "0.53", "short": "0.44", "ratio": None}
    assert first == SeriesRow("market.long_short_ratios", f"{scope} 5m", MS * 1000, fields)
    expected = fields | {"short": None}
    assert second == SeriesRow("market.long_short_ratios", f"{scope} 5m", (MS + 300_000) * 1000, expected)
    [hourly] = polled(name, htx.ratios(), "contract_code=BTC-USDT&period=60min")
    assert isinstance(hourly, SeriesRow)
    assert (hourly.series, hourly.fields["period"]) == (f"{scope} 1h", "1h")


def test_settled_rates() -> None:
    """The rate that was paid, at the time of payment, oldest first. `realized_rate` is null since it is deprecated."""
    rates = htx.settled_rates(htx.settled_row(MS + 28_800_000, funding_rate="0.0002"), htx.settled_row())
    first, second = polled("swap_historical_funding_rate", rates, "contract_code=BTC-USDT&page_index=1&page_size=50")
    fields = {
        "type": "settled", "rate": "-0.0001", "interval_hours": None, "next_funding_at": None, "mark_price": None,
        "index_price": None,
    }  # fmt: skip
    assert first == SeriesRow("market.funding", "settled", MS * 1000, fields)
    assert second == SeriesRow("market.funding", "settled", (MS + 28_800_000) * 1000, fields | {"rate": "0.0002"})


def test_one_malformed_period() -> None:
    """It costs only itself."""
    rejected, row = polled("swap_elite_account_ratio", htx.ratios(htx.ratio_row(), htx.ratio_row() | {"ts": "now"}))
    assert isinstance(row, SeriesRow)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "row 2 of 2: not a timestamp: 'now'"


ANSWERS: list[tuple[str, str, bytes, str]] = [
    ("error", "swap_open_interest", b'{"status":"error","err_code":1032,"err_msg":"too many"}', "error: too many"),
    ("error without text", "swap_open_interest", b'{"status":"error"}', "the exchange reports an error"),
    ("not JSON", "swap_open_interest", b"<html>", "wrong type"),
    ("a list", "swap_open_interest", b"[]", "wrong type"),
    ("no contract", "swap_open_interest", b'{"status":"ok","data":[],"ts":1790000000000}', "wrong length"),
    ("other contract", "swap_open_interest", htx.open_interest(contract_code="ETH-USDT"), "frame for 'ETH-USDT'"),
    ("negative interest", "swap_open_interest", htx.open_interest(amount=-1), "not a price or amount"),
    ("other ratios", "swap_elite_account_ratio", htx.ratios().replace(b"BTC-USDT", b"ETH-USDT"), "'ETH-USDT'"),
    ("negative share", "swap_elite_position_ratio", htx.ratios(htx.ratio_row(buy_ratio=-0.5)), "not a price"),
    ("no periods", "swap_elite_position_ratio", b'{"status":"ok","data":{}}', "missing field 'contract_code'"),
    ("other rates", "swap_historical_funding_rate", htx.settled_rates(htx.settled_row(contract_code="X")), "'X'"),
    ("no rate", "swap_historical_funding_rate", htx.settled_rates(htx.settled_row(funding_rate=None)), "not a decimal"),
    ("unknown path", "swap_mystery", b"{}", "unknown path: '/linear-swap-api/v1/swap_mystery'"),
]


@pytest.mark.parametrize(("name", "body", "reason"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS])
def test_malformed_answers_have_a_reason(name: str, body: bytes, reason: str) -> None:
    """A malformed answer is rejected, with what is wrong with it; so is an error of the exchange."""
    with pytest.raises(FrameError, match=reason):
        polled(name, body)


@given(
    st.sampled_from(["swap_open_interest", "swap_elite_account_ratio", "swap_historical_funding_rate"]),
    anything,
)
def test_no_answer_stops_a_partition(name: str, data: Any) -> None:
    """Any JSON, as an answer or its data, is parsed to messages or to a `FrameError`."""
    named = {"contract_code": "BTC-USDT"}
    for found in (data, named | {"list": data}, {"data": data}, [named | {"volume": data}]):
        for body in (found, {"status": "ok", "ts": MS, "data": found}):
            try:
                polled(name, dumps(body))
            except FrameError:
                continue
