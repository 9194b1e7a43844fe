"""OKX's tickers, candles and figures of derivatives are parsed field by field, and everything else to a reason."""

from typing import Any

import pytest

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize import parse
from streams.normalize.messages import Candle, Ignored, Liquidation, Reading, Rejected
from tests.frames import MS, dumps, okx

NOW = 1_790_000_000_000_001  # µs of receipt
AT = MS * 1000
START = MS // 60_000 * 60_000_000
DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("instrument", "volume", "quote_volume"),
    [(okx.SPOT, "6123450", "61234.5"), (okx.SWAP, "61234.5", None), (okx.OPTION, "61234.5", None)],
)
def test_ticker(instrument: Instrument, volume: str, quote_volume: str | None) -> None:
    """Volumes are in base and quote units on spot; in contracts and base units on derivatives."""
    fields = {
        "last": "86750.1", "open": "85100", "high": "87400", "low": "84900", "volume": volume,
        "quote_volume": quote_volume, "trades": None, "window": "24h",
    }  # fmt: skip
    assert parse(okx.ticker(instrument), instrument, NOW) == [Reading("market.tickers", "tickers", AT, fields)]


def test_ticker_of_what_was_never_traded() -> None:
    """Prices that OKX does not have are empty texts there, and null here."""
    frame = okx.ticker(okx.OPTION, last="", open24h="", high24h="", low24h="", volCcy24h="0")
    [reading] = parse(frame, okx.OPTION, NOW)
    assert isinstance(reading, Reading)
    names = ("last", "open", "high", "low", "volume")
    assert [reading.fields[name] for name in names] == [None, None, None, None, "0"]


@pytest.mark.parametrize(
    ("instrument", "volume", "quote_volume"),
    [(okx.SPOT, "1200", "12"), (okx.SWAP, "12", "1041000.5"), (okx.INVERSE, "12", "1041000.5")],
)
@pytest.mark.parametrize(("confirm", "closed"), [("0", False), ("1", True)])
def test_candle(instrument: Instrument, volume: str, quote_volume: str, confirm: str, closed: bool) -> None:
    """Volumes are in base and quote units on spot; in contracts, base and quote units on derivatives."""
    prices = "86700", "86800.5", "86650", "86750.1"
    expected = Candle("candles_1m", NOW, "1m", START, START + 60_000_000, *prices, volume, quote_volume, closed=closed)
    assert parse(okx.candles(okx.candle_row(confirm), instrument=instrument), instrument, NOW) == [expected]


@pytest.mark.parametrize(
    ("bar", "start", "channel", "end"),
    [
        ("1Dutc", "1789948800000", "candles_1d", 1_789_948_800_000_000 + DAY),
        ("1D", "1789920000000", "candles_1d", 1_789_920_000_000_000 + DAY),
        ("1Wutc", "1789948800000", "candles_1w", 1_789_948_800_000_000 + 7 * DAY),
        ("1Mutc", "1788220800000", "candles_1M", 1_788_220_800_000_000 + 30 * DAY),
        ("3Mutc", "1782864000000", "candles_3M", 1_782_864_000_000_000 + 92 * DAY),
        ("1s", "1790000000000", "candles_1s", 1_790_000_001_000_000),
    ],
)
def test_intervals_of_candles(bar: str, start: str, channel: str, end: int) -> None:
    """Days begin at midnight of UTC where the bar says so, and else at that of UTC+8; months have their length."""
    [candle] = parse(okx.candles(okx.candle_row(start=int(start)), bar=bar), okx.SPOT, NOW)
    assert isinstance(candle, Candle)
    assert (candle.channel, candle.interval, candle.end) == (channel, channel.removeprefix("candles_"), end)


def test_candle_of_2022() -> None:
    """Old recordings have no quote volume of derivatives, and do not say whether a candle is closed."""
    [candle] = parse(okx.candles(okx.candle_row()[:7], instrument=okx.SWAP), okx.SWAP, NOW)
    assert isinstance(candle, Candle)
    assert (candle.volume, candle.quote_volume, candle.closed) == ("12", None, None)


def test_funding_comes_from_three_channels() -> None:
    """The rate with its period, the mark price, and the price of the index, which several instruments share."""
    swap = okx.SWAP
    fields = {"type": "estimated", "rate": "-0.0000725", "next_funding_at": AT, "interval_hours": 4}
    assert parse(okx.funding_rate(), swap, NOW) == [Reading("market.funding", "funding", AT, fields)]
    for frame, channel, price in (
        (okx.mark_price(), "mark_prices", {"mark_price": "86750.1"}),
        (okx.index_price(), "index_prices", {"index_price": "86749"}),
    ):
        expected = [Reading("market.mark_prices", channel, AT, price), Reading("market.funding", "", AT, price)]
        assert parse(frame, swap, NOW) == expected
    with pytest.raises(FrameError, match="index 'BTC-USDT' received as that of 'BTC-USD-SWAP'"):
        parse(okx.index_price(), okx.INVERSE, NOW)


@pytest.mark.parametrize("instrument", [okx.FUTURE, okx.OPTION])
def test_mark_prices_of_what_pays_no_funding(instrument: Instrument) -> None:
    """Dated futures and options have mark prices alone."""
    expected = Reading("market.mark_prices", "mark_prices", AT, {"mark_price": "86750.1"})
    assert parse(okx.mark_price(instrument), instrument, NOW) == [expected]


def test_settlement_price() -> None:
    """The estimate of the price of delivery is that of the instrument's row. That of a mere settlement is none."""
    expected = Reading("market.mark_prices", "settlement_prices", AT, {"settlement_price": "86741.25"})
    assert parse(okx.settlement_price(), okx.FUTURE, NOW) == [expected]
    assert parse(okx.settlement_price(settleType="settlement"), okx.FUTURE, NOW) == [Ignored("estimated-price")]


@pytest.mark.parametrize(("instrument", "value"), [(okx.SWAP, None), (okx.INVERSE, "1922478000.5")])
def test_open_interest(instrument: Instrument, value: str | None) -> None:
    """It is in contracts and base units, and in quote units where those are the dollars that OKX publishes."""
    fields = {"contracts": "2216113.01000000309", "amount": "22161.1301", "value": value}
    expected = Reading("market.open_interest", "open_interest", AT, fields)
    assert parse(okx.open_interest(instrument), instrument, NOW) == [expected]


def test_option() -> None:
    """Volatilities are fractions, the greeks those of Black and Scholes; what is empty is null."""
    fields = {
        "mark_iv": "0.5512", "bid_iv": None, "ask_iv": "0.58", "delta": "0.4312", "gamma": "0.0000171", "vega": "98.5",
        "theta": "-61.25", "underlying_price": "87012.5", "underlying_index": "BTC-USD",
    }  # fmt: skip
    assert parse(okx.option_summary(), okx.OPTION, NOW) == [Reading("market.options", "options", AT, fields)]


@pytest.mark.parametrize(("instrument", "amounts"), [(okx.SWAP, ["0.13", "0.02"]), (okx.INVERSE, ["0.026", "0.004"])])
def test_liquidations(instrument: Instrument, amounts: list[str]) -> None:
    """Each order of the instrument's row is a liquidation, in base units; OKX publishes only some of them."""
    orders = okx.liquidation_detail(), okx.liquidation_detail(side="buy", sz="2")
    assert parse(okx.liquidations(*orders, instrument=instrument), instrument, NOW) == [
        Liquidation("liquidations", AT, side, "50000", None, amount, sampled=True)
        for side, amount in zip(("sell", "buy"), amounts, strict=True)
    ]


@pytest.mark.parametrize("frame", [okx.liquidations(), okx.option_summary(), okx.settlement_price()])
def test_rows_of_others(frame: bytes) -> None:
    """A frame without a row of the instrument holds nothing of it."""
    [message] = parse(frame, okx.SPOT, NOW)
    assert isinstance(message, Ignored)


@pytest.mark.parametrize(
    ("frame", "instrument", "good"),
    [
        (okx.liquidations(okx.liquidation_detail(), okx.liquidation_detail(bkPx="x")), okx.SWAP, 1),
        (okx.mark_price(okx.SWAP, {"markPx": "-1"}), okx.SWAP, 2),
        (okx.candles(okx.candle_row(), ["1"]), okx.SPOT, 1),
    ],
)
def test_malformed_row_costs_only_itself(frame: bytes, instrument: Instrument, good: int) -> None:
    """The other rows are parsed."""
    messages = parse(frame, instrument, NOW)
    assert [type(message) is Rejected for message in messages].count(True) == 1
    assert len(messages) == good + 1


MALFORMED: list[tuple[str, Any, Instrument, str]] = [
    ("no rows", okx.push("tickers", []), okx.SPOT, "tickers without data"),
    ("no data", dumps({"arg": {"channel": "candle1m", "instId": "BTC-USDT"}}), okx.SPOT, "candle1m without data"),
    ("another's ticker", okx.ticker(okx.SWAP), okx.SPOT, "received on the subscription of 'BTC-USDT'"),
    ("last", okx.ticker(last="0"), okx.SPOT, "not above zero"),
    ("no high", okx.push("tickers", [{"last": "1", "open24h": "1"}]), okx.SPOT, "missing field 'high24h'"),
    ("short candle", okx.candles(okx.candle_row()[:5]), okx.SPOT, "a list of the wrong length"),
    ("long candle", okx.candles([*okx.candle_row(), "1"]), okx.SPOT, "a list of the wrong length"),
    ("confirm", okx.candles(okx.candle_row("2")), okx.SPOT, "neither open nor closed"),
    ("bar", okx.candles(okx.candle_row(), bar="7m"), okx.SPOT, "unknown channel: 'candle7m'"),
    ("mark price", okx.push("mark-price", [{"markPx": "", "ts": str(MS)}], okx.SWAP), okx.SWAP, "not a number"),
    ("rate", okx.funding_rate(fundingRate=""), okx.SWAP, "not a number"),
    ("delta", okx.option_summary(deltaBS="NaN"), okx.OPTION, "not a price or amount"),
    ("volatility", okx.option_summary(markVol="-0.5"), okx.OPTION, "not a price or amount"),
    ("nobody", okx.option_summary().replace(b'"instId":"', b'"instId":5,"x":"'), okx.OPTION, "not an instrument"),
    ("side", okx.liquidations(okx.liquidation_detail(side="long")), okx.SWAP, "not a side"),
    ("size", okx.liquidations(okx.liquidation_detail(sz="0")), okx.SWAP, "not above zero"),
    ("settlement price", okx.settlement_price(settlePx="1e400"), okx.FUTURE, "out of range"),
]


@pytest.mark.parametrize(
    ("frame", "instrument", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_malformed_frames_have_a_reason(frame: bytes, instrument: Instrument, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, instrument, NOW)
