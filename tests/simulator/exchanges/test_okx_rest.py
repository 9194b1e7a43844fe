"""The simulated OKX's REST interface is as documented, and its statistics are the true ones."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest

from marketprism.simulator import Simulators
from marketprism.simulator.exchanges.okx.rest import ratio_row, volume_row
from schemas.instruments import assumed_instrument, instrument_of_key
from schemas.markers import answer_of
from streams.normalize import parse_answer
from streams.normalize.messages import SeriesRow
from tests.simulator.clients import get

STATISTICS = "/api/v5/rubik/stat"
RATIO = f"{STATISTICS}/contracts/long-short-account-ratio-contract"
FUNDING = "/api/v5/public/funding-rate-history"
SWAP = "BTC-USDT-SWAP"
INSTRUMENT = assumed_instrument("okx", "okx", "BTC-USDT-PERP")
CURRENCY = instrument_of_key("okx:BTC")
FIVE_MINUTES = 300_000_000  # µs


def parsed(path: str, query: str, body: Any, instrument: Any, now: int) -> list[SeriesRow]:
    """Return what the pipeline makes of an answer."""
    messages = parse_answer(answer_of("any", f"{path}?{query}", now, orjson.dumps(body)), instrument, now)
    return [message for message in messages if isinstance(message, SeriesRow)]


async def test_instruments_and_books() -> None:
    """REST serves instruments with contract values and books with their sequence; errors and rate limit have codes."""
    async with Simulators(["okx"], rate=0) as sims:
        _, body, _ = await get(sims, "okx", "/api/v5/public/instruments", instType="SWAP")
        keys = ("ctVal", "ctValCcy", "settleCcy", "ctType", "tickSz", "lotSz")
        values = {row["instId"]: tuple(row[key] for key in keys) for row in body["data"]}
        assert values == {
            "BTC-USDT-SWAP": ("0.01", "BTC", "USDT", "linear", "0.1", "0.01"),
            "ETH-USDT-SWAP": ("0.1", "ETH", "USDT", "linear", "0.01", "0.01"),
            "BTC-USD-SWAP": ("100", "USD", "BTC", "inverse", "0.1", "1"),
            "ETH-USD-SWAP": ("10", "USD", "ETH", "inverse", "0.01", "1"),
        }
        _, body, _ = await get(sims, "okx", "/api/v5/market/books", instId="BTC-USDT", sz=400)
        true = sims.true_book("okx", "BTC-USDT")
        assert body["data"][0]["seqId"] == true.sequence
        assert [(price, amount) for price, amount, *_ in body["data"][0]["asks"]] == true.asks
        _, body, _ = await get(sims, "okx", "/api/v5/market/books", instId="NO-SUCH")
        assert body["code"] == "51001"
        answers = [await get(sims, "okx", "/api/v5/public/time") for _ in range(11)]
        assert answers[0][1]["code"] == "0"
        assert (answers[-1][0], answers[-1][1]["code"]) == (429, "50011")


async def test_options() -> None:
    """Options are listed by family, which must be named."""
    async with Simulators(["okx"], rate=0) as sims:
        path = "/api/v5/public/instruments"
        _, body, _ = await get(sims, "okx", path, instType="OPTION", instFamily="BTC-USD")
        keys = ("uly", "settleCcy", "ctVal", "ctValCcy", "ctType", "optType", "stk", "expTime", "tickSz", "lotSz")
        assert {row["instId"]: tuple(row[key] for key in keys) for row in body["data"]} == {
            f"BTC-USD-270625-{strike}-{kind}": (
                "BTC-USD", "BTC", "0.01", "BTC", "", kind, strike, "1813910400000", "0.0001", "1"
            )
            for strike, kind in (("95000", "C"), ("80000", "P"))
        }  # fmt: skip
        _, body, _ = await get(sims, "okx", path, instType="OPTION", instFamily="ETH-USD")
        assert body == {"code": "0", "msg": "", "data": []}
        _, body, _ = await get(sims, "okx", path, instType="OPTION")
        assert body["code"] == "50015"


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        (f"{STATISTICS}/contracts/long-short-account-ratio-contract-top-trader", "top_accounts"),
        (f"{STATISTICS}/contracts/long-short-position-ratio-contract-top-trader", "top_positions"),
        (RATIO, "all_accounts"),
        (f"{STATISTICS}/contracts/long-short-account-ratio", "all_accounts"),
    ],
)
async def test_ratios(path: str, scope: str) -> None:
    """The ratios of instruments and currencies are parsed to the true ones, without that of the running period."""
    name, instrument = ("BTC", CURRENCY) if path.endswith("account-ratio") else (SWAP, INSTRUMENT)
    subject = "ccy" if instrument is CURRENCY else "instId"
    async with Simulators(["okx"], rate=0) as sims:
        _, body, _ = await get(sims, "okx", path, **{subject: name, "period": "5m"})
        positions = sims.instrument("okx", "BTC-USDT-PERP").positions
        now = int(body["data"][0][0]) * 1000
        rows = parsed(path, f"{subject}={name}&period=5m", body, instrument, now)
        assert len(rows) == len(body["data"]) - 1
        assert rows[-1].timestamp == now - FIVE_MINUTES
        for row in rows:
            assert row.fields["scope"] == scope
            assert [row.fields["ratio"]] == ratio_row(scope, positions, name, "5m", row.timestamp // 1000)


@pytest.mark.parametrize("path", [f"{STATISTICS}/taker-volume-contract", f"{STATISTICS}/taker-volume"])
async def test_taker_volumes(path: str) -> None:
    """What takers bought and sold is parsed to the true volumes."""
    name, subject, instrument = (SWAP, "instId", INSTRUMENT) if path.endswith("contract") else ("BTC", "ccy", CURRENCY)
    async with Simulators(["okx"], rate=0) as sims:
        _, body, _ = await get(sims, "okx", path, **{subject: name, "period": "5m", "limit": "2"})
        positions = sims.instrument("okx", "BTC-USDT-PERP").positions
        now = int(body["data"][0][0]) * 1000
        row = parsed(path, f"{subject}={name}&period=5m", body, instrument, now)[-1]
        sold, bought = volume_row(positions, name, "5m", row.timestamp // 1000)
        assert (row.fields["long"], row.fields["short"]) == (bought, sold)


async def test_funding_history() -> None:
    """The settled rates are the true ones, one for each 8 hours of 90 days."""
    async with Simulators(["okx"], rate=0) as sims:
        _, body, _ = await get(sims, "okx", FUNDING, instId=SWAP, limit=3)
        funding = sims.instrument("okx", "BTC-USDT-PERP").funding
        rows = parsed(FUNDING, f"instId={SWAP}", body, INSTRUMENT, 0)
        assert len(rows) == 3
        assert [Decimal(row.fields["rate"]) for row in rows] == [funding.settled(row.timestamp // 1000) for row in rows]
        assert {later.timestamp - row.timestamp for row, later in pairwise(rows)} == {28_800_000_000}
        _, body, _ = await get(sims, "okx", FUNDING, instId=SWAP)
        assert len(body["data"]) == 270


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        (RATIO, {"instId": "NO-SUCH"}, "51001"),
        (RATIO, {"instId": "BTC-USDT"}, "51001"),
        (RATIO, {"instId": SWAP, "period": "7m"}, "51000"),
        (RATIO, {"instId": SWAP, "limit": "101"}, "51000"),
        (f"{STATISTICS}/taker-volume", {"ccy": "NOSUCH"}, "51000"),
        (FUNDING, {"instId": "BTC-USDT"}, "51001"),
        (FUNDING, {"instId": SWAP, "limit": "401"}, "51000"),
    ],
)
async def test_errors(path: str, query: dict[str, str], code: str) -> None:
    """Each kind of invalid request has its code."""
    async with Simulators(["okx"], rate=0) as sims:
        _, body, _ = await get(sims, "okx", path, **query)
        assert (body["code"], body["data"]) == (code, [])


async def test_rate_limits() -> None:
    """An instrument's statistics are limited by instrument, a currency's by endpoint: 5 requests in 2 s."""
    async with Simulators(["okx"], rate=0) as sims:
        codes = [(await get(sims, "okx", RATIO, instId=SWAP))[1]["code"] for _ in range(6)]
        assert codes == ["0"] * 5 + ["50011"]
        assert (await get(sims, "okx", RATIO, instId="ETH-USDT-SWAP"))[1]["code"] == "0"
        path = f"{STATISTICS}/taker-volume"
        codes = [(await get(sims, "okx", path, ccy=name))[1]["code"] for name in ("BTC", "ETH") for _ in range(3)]
        assert codes == ["0"] * 5 + ["50011"]
