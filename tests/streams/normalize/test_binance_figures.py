"""Binance's tickers, candles, mark prices and liquidations are parsed to messages, or to a reason."""

from typing import Any

import pytest

from schemas.errors import FrameError
from schemas.instruments import Instrument, assumed_instrument
from streams.normalize import parse
from streams.normalize.messages import Candle, Liquidation, Reading
from tests.frames import MS, binance
from tests.frames.binance import COINM, SPOT, USDM

NOW = 1_790_000_000_000_001  # µs of receipt
DATED = assumed_instrument("binance-coinm", "binance", "BTC-USD-261225")
MINUTE = (MS - MS % 60_000) * 1000


@pytest.mark.parametrize(
    ("instrument", "volumes"),
    [
        (SPOT, {"volume": "15210.5", "quote_volume": "1320299921.05"}),
        (USDM, {"volume": "15210.5", "quote_volume": "1320299921.05"}),
        (COINM, {"volume": "1320299921.05", "quote_volume": None}),
    ],
    ids=["spot", "usdm", "coinm"],
)
def test_ticker(instrument: Instrument, volumes: dict[str, str | None]) -> None:
    """Tickers are readings; `v` of COIN-M counts contracts, `q` is its base volume. Mini tickers count no trades."""
    fields: dict[str, Any] = {"last": "86750.00", "open": "86963.70", "high": "88000.00", "low": "85900.50"}
    fields |= volumes | {"window": "24h"}
    assert parse(binance.mini_ticker(instrument), instrument, NOW) == [
        Reading("market.tickers", "tickers", MS * 1000, fields)
    ]
    assert parse(binance.ticker(instrument), instrument, NOW) == [
        Reading("market.tickers", "tickers", MS * 1000, fields | {"trades": 5000})
    ]


def test_kline() -> None:
    """A kline is a candle with all volumes; `x` marks its last update."""
    expected = Candle(
        channel="candles_1m",
        timestamp=MS * 1000,
        interval="1m",
        start=MINUTE,
        end=MINUTE + 60_000_000,
        open="86740.0",
        high="86760.0",
        low="86735.0",
        close="86750.0",
        volume="12.5",
        quote_volume="1084000.1",
        trades=91,
        taker_buy_volume="7.1",
        taker_buy_quote_volume="615000.2",
        closed=False,
    )
    assert parse(binance.kline(), SPOT, NOW) == [expected]
    [closed] = parse(binance.kline(USDM, x=True), USDM, NOW)
    assert isinstance(closed, Candle)
    assert closed.closed is True


def test_coinm_kline() -> None:
    """`v` and `V` of COIN-M count contracts; `q` and `Q` are base volumes."""
    frame = binance.kline(DATED, "1M", t=1788220800000, T=1790812799999, v="21", q="0.042", V="10", Q="0.02")
    [candle] = parse(frame, DATED, NOW)
    assert isinstance(candle, Candle)
    assert (candle.volume, candle.quote_volume) == ("0.042", None)
    assert (candle.taker_buy_volume, candle.taker_buy_quote_volume) == ("0.02", None)
    assert (candle.channel, candle.start, candle.end) == ("candles_1M", 1788220800000000, 1790812800000000)


@pytest.mark.parametrize(
    ("instrument", "pair", "contract"), [(USDM, "BTCUSDT", "PERPETUAL"), (COINM, "BTCUSD", "NEXT_QUARTER")]
)
def test_continuous_kline(instrument: Instrument, pair: str, contract: str) -> None:
    """Continuous contracts are of the perpetual's pair, and have channels of their own."""
    [candle] = parse(binance.continuous_kline(pair, contract), instrument, NOW)
    assert isinstance(candle, Candle)
    assert (candle.contract, candle.interval, candle.closed) == (contract.lower(), "1m", False)
    assert candle.channel == f"{contract.lower()}_candles_1m"


@pytest.mark.parametrize("instrument", [USDM, COINM], ids=["usdm", "coinm"])
def test_mark_price(instrument: Instrument) -> None:
    """A mark price is two readings, one of them with the signed and plain rate; the channel's message counts once."""
    prices = {"mark_price": "86748.21000000", "index_price": "86749.02"}
    marked = Reading("market.mark_prices", "mark_prices", MS * 1000, prices | {"settlement_price": "86745.1"})
    due = {"type": "estimated", "rate": "-0.0000005", "next_funding_at": (MS + 6_400_000) * 1000}
    assert parse(binance.mark_price(instrument), instrument, NOW) == [
        marked,
        Reading("market.funding", "", MS * 1000, due | prices),
    ]
    assert parse(binance.mark_price(instrument, r="", T=0), instrument, NOW) == [marked]


def test_missing_prices_are_null() -> None:
    """An index price was not sent before 2020, and a settlement price of zero is none."""
    [marked, _] = parse(binance.mark_price(i="", P="0.00000000"), USDM, NOW)
    assert isinstance(marked, Reading)
    assert marked.fields == {"mark_price": "86748.21000000", "index_price": None, "settlement_price": None}


def test_forced_order() -> None:
    """A liquidation is a sample, by the time, side and prices of its order; the amount of COIN-M counts contracts."""
    stamp = (MS - 10) * 1000
    assert parse(binance.forced_order(), USDM, NOW) == [
        Liquidation("liquidations", stamp, "sell", "50000", "50010", "14", sampled=True)
    ]
    assert parse(binance.forced_order(COINM, S="BUY", ap="0"), COINM, NOW) == [
        Liquidation("liquidations", stamp, "buy", "50000", None, "0.028", sampled=True)
    ]


MALFORMED: list[tuple[str, bytes, str]] = [
    ("ticker of another", binance.ticker(USDM, s="ETHUSDT"), "ETHUSDT"),
    ("ticker without a price", binance.ticker(USDM, c=""), "not a number"),
    ("negative volume", binance.ticker(USDM, v="-1"), "not a price or amount"),
    ("trades as text", binance.ticker(USDM, n="5"), "Expected `int"),
    ("kline of another", binance.kline(SPOT).replace(b"BTCUSDT", b"ETHUSDT"), "ETHUSDT"),
    ("unknown interval", binance.kline(USDM, "7m"), "unknown interval"),
    ("kline without an end mark", binance.kline(USDM, x=None), "Expected `bool`"),
    ("continuous kline of another pair", binance.continuous_kline("ETHUSDT"), "ETHUSDT"),
    ("unknown contract", binance.continuous_kline(contract="TRADIFI_PERPETUAL"), "unknown continuous contract"),
    ("rate that is no number", binance.mark_price(r="x"), "not a decimal"),
    ("mark price of zero", binance.mark_price(p="0"), "not above zero"),
    ("funding time in seconds", binance.mark_price(T=5), "timestamp"),
    ("mark price of another", binance.mark_price(s="ETHUSDT"), "ETHUSDT"),
    ("side of a liquidation", binance.forced_order(S="HOLD"), "not a side"),
    ("empty liquidation", binance.forced_order(q="0"), "not above zero"),
    ("liquidation of another", binance.forced_order(s="ETHUSDT"), "ETHUSDT"),
]


@pytest.mark.parametrize(("frame", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_frames_have_a_reason(frame: bytes, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, USDM, NOW)
