"""What the simulated futures of Binance offer by REST alone is documented and true."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest

from marketprism.simulator import Limits, Simulators
from marketprism.simulator.server.connection import now_ms
from schemas.instruments import Instrument, assumed_instrument
from schemas.markers import answer_of
from streams.normalize import parse_answer
from streams.normalize.messages import Normalized, Reading, SeriesRow
from tests.frames.binance import COINM, USDM
from tests.simulator.clients import get

DATED = assumed_instrument("binance-coinm", "binance", "BTC-USD-261225")
PERIOD_MS = 300_000

each_futures_market = pytest.mark.parametrize("instrument", [USDM, COINM], ids=["usdm", "coinm"])


async def parsed(sims: Simulators, instrument: Instrument, path: str, **query: Any) -> tuple[Any, list[Normalized]]:
    """Return the answer of a request, and its messages."""
    status, body, _ = await get(sims, instrument.feed, path, **query)
    assert status == 200, body
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = answer_of("a channel", f"{path}?{text}", now_ms() * 1000, orjson.dumps(body))
    return body, parse_answer(answer, instrument, now_ms() * 1000)


@pytest.mark.parametrize("instrument", [USDM, COINM, DATED], ids=["usdm", "coinm", "dated"])
async def test_open_interest(instrument: Instrument) -> None:
    """Open interest is the market's, in base units on USD-M and in contracts on COIN-M."""
    path = "/fapi/v1/openInterest" if instrument is USDM else "/dapi/v1/openInterest"
    async with Simulators([instrument.feed], rate=0) as sims:
        body, [reading] = await parsed(sims, instrument, path, symbol=instrument.exchange_symbol)
        market = sims.instrument(instrument.feed, instrument.symbol)
    assert isinstance(reading, Reading)
    true = market.positions.open_interest(reading.timestamp // 1000)
    [(unit, found)] = reading.fields.items()
    assert (unit, Decimal(found)) == ("contracts" if instrument.inverse else "amount", true.own)
    more = {"pair", "contractType"} if instrument.inverse else set()
    assert set(body) == {"symbol", "openInterest", "time"} | more


@each_futures_market
async def test_settled_funding(instrument: Instrument) -> None:
    """Funding rates are of the past payments, oldest first; the last is the latest."""
    path = "/fapi/v1/fundingRate" if instrument is USDM else "/dapi/v1/fundingRate"
    name = instrument.exchange_symbol
    async with Simulators([instrument.feed], rate=0) as sims:
        body, rows = await parsed(sims, instrument, path, symbol=name, limit=3)
        assert rows[1:] == (await parsed(sims, instrument, path, symbol=name, limit=2))[1]
        first = body[0]["fundingTime"]
        found, _ = await parsed(sims, instrument, path, symbol=name, startTime=first - 86_400_000, limit=2)
        assert [each["fundingTime"] for each in found] == [first - 86_400_000, first - 57_600_000]
        if instrument is COINM:
            assert await parsed(sims, instrument, path, symbol=DATED.exchange_symbol) == ([], [])
        funding = sims.instrument(instrument.feed, instrument.symbol).funding
    fields = {"symbol", "fundingTime", "fundingRate", *(["markPrice", "rateType"] if instrument is USDM else [])}
    assert all(set(each) == fields for each in body)
    for row in rows:
        assert isinstance(row, SeriesRow)
        assert Decimal(row.fields["rate"]) == funding.settled(row.timestamp // 1000)
        assert row.timestamp % 28_800_000_000 == 0
    assert 0 <= now_ms() - body[-1]["fundingTime"] < 28_800_000


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("topLongShortAccountRatio", "top accounts"),
        ("topLongShortPositionRatio", "top positions"),
        ("globalLongShortAccountRatio", "all accounts"),
    ],
)
@each_futures_market
async def test_ratios(instrument: Instrument, name: str, whose: str) -> None:
    """Each period that has ended has its true shares; the market's rows are of symbols or of pairs."""
    subject = {"symbol": "BTCUSDT"} if instrument is USDM else {"pair": "BTCUSD"}
    async with Simulators([instrument.feed], rate=0) as sims:
        path = f"/futures/data/{name}"
        body, rows = await parsed(sims, instrument, path, **subject, period="5m", limit=4)
        positions = sims.instrument(instrument.feed, instrument.symbol).positions
    for row in rows:
        assert isinstance(row, SeriesRow)
        shares = positions.shares(instrument.symbol, f"{whose} 5m", row.timestamp // 1000)
        assert (Decimal(row.fields["long"]), Decimal(row.fields["short"])) == shares
        assert row.fields["scope"] == whose.replace(" ", "_")
    times = [each["timestamp"] for each in body]
    assert all(later - earlier == PERIOD_MS for earlier, later in pairwise(times))
    assert len(times) == 4
    assert PERIOD_MS <= now_ms() - times[-1] < 2 * PERIOD_MS


@each_futures_market
async def test_taker_volumes(instrument: Instrument) -> None:
    """What takers bought and sold is the market's."""
    path, subject = "/futures/data/takerlongshortRatio", {"symbol": "BTCUSDT"}
    if instrument is COINM:
        path, subject = "/futures/data/takerBuySellVol", {"pair": "BTCUSD", "contractType": "PERPETUAL"}
    async with Simulators([instrument.feed], rate=0) as sims:
        _, rows = await parsed(sims, instrument, path, **subject, period="5m")
        positions = sims.instrument(instrument.feed, instrument.symbol).positions
    assert len(rows) == 30
    for row in rows:
        assert isinstance(row, SeriesRow)
        volumes = positions.taker_volumes(instrument.symbol, "takers 5m", row.timestamp // 1000)
        assert (Decimal(row.fields["long"]), Decimal(row.fields["short"])) == volumes


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/fapi/v1/openInterest", {}, -1102),
        ("/fapi/v1/openInterest", {"symbol": "NOSUCH"}, -1121),
        ("/fapi/v1/fundingRate", {"symbol": "BTCUSDT", "limit": "1001"}, -1130),
        ("/futures/data/topLongShortAccountRatio", {"symbol": "BTCUSDT"}, -1102),
        ("/futures/data/topLongShortAccountRatio", {"symbol": "BTCUSDT", "period": "7m"}, -1130),
        ("/futures/data/takerlongshortRatio", {"symbol": "BTCUSDT", "period": "5m", "limit": "x"}, -1130),
    ],
)
async def test_invalid_requests(path: str, query: dict[str, str], code: int) -> None:
    """Missing and invalid parameters are rejected with Binance's codes."""
    async with Simulators(["binance-usdm"], rate=0) as sims:
        status, body, _ = await get(sims, "binance-usdm", path, **query)
    assert (status, body["code"]) == (400, code)


async def test_statistics_have_limits_of_their_own() -> None:
    """Statistics and funding rates do not count as weight, but have their own windows; open interest has weight."""
    limits = Limits(weight_per_minute=2)
    async with Simulators(["binance-usdm"], rate=0, limits=limits) as sims:
        for _ in range(5):
            query = {"symbol": "BTCUSDT", "period": "5m"}
            status, _, headers = await get(sims, "binance-usdm", "/futures/data/globalLongShortAccountRatio", **query)
            assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (200, "0")
            assert (await get(sims, "binance-usdm", "/fapi/v1/fundingRate", symbol="BTCUSDT"))[0] == 200
        answers = [await get(sims, "binance-usdm", "/fapi/v1/openInterest", symbol="BTCUSDT") for _ in range(4)]
        assert 429 in [status for status, _, _ in answers]
