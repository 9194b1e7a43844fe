"""HTX's tickers, candles, prices, funding rates and liquidations are parsed to messages, field by field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FrameError
from schemas.instruments import Instrument, assumed_instrument
from streams.normalize import parse
from streams.normalize.messages import Candle, Liquidation, Reading, Rejected
from tests.frames import MS, dumps, htx
from tests.frames.htx import LINEAR, SPOT, push
from tests.streams.normalize.strategies import anything

NOW = 1_790_000_000_000_001  # µs of receipt
SENT = (MS + 2) * 1000
START = 1_789_999_980_000_000
FUTURE = assumed_instrument("htx-linear", "htx", "BTC-USDT-261225")
# Recorded under its linear name; it has no turnover in quote units, and sums of forty digits.
INVERSE = LINEAR.model_copy(update={"contract_size": "100", "inverse": True})
HOUR = 3_600_000_000  # µs


@pytest.mark.parametrize("channel", ["detail", "ticker"])
def test_spot_tickers(channel: str) -> None:
    """Both topics have the same statistics; `vol` is in quote units."""
    fields = {
        "last": "86751.02", "open": "86400.3", "high": "87900", "low": "86100.15", "volume": "9437.159881877742",
        "quote_volume": "818158859.8785326", "trades": 699452, "window": "24h",
    }  # fmt: skip
    assert parse(htx.spot_detail(channel), SPOT, NOW) == [Reading("market.tickers", "tickers", SENT, fields)]


def test_linear_tickers() -> None:
    """`vol` is in contracts, which are not needed: the volumes in coins and USDT are published as well."""
    [reading] = parse(htx.linear_detail(), LINEAR, NOW)
    assert isinstance(reading, Reading)
    assert reading.fields["volume"] == "34473.406"
    assert reading.fields["quote_volume"] == "2993364677.232"
    assert reading.fields["trades"] == 203526
    [reading] = parse(htx.linear_detail(INVERSE, trade_turnover="", count=""), INVERSE, NOW)
    assert isinstance(reading, Reading)
    assert (reading.fields["quote_volume"], reading.fields["trades"]) == (None, None)


def test_spot_candles() -> None:
    """The start is in seconds. Nothing marks the last update of a candle."""
    [candle] = parse(htx.spot_kline(), SPOT, NOW)
    assert candle == Candle(
        "candles_1m",
        SENT,
        "1m",
        START,
        START + 60_000_000,
        open="86750.1",
        high="86752",
        low="86749.99",
        close="86751.02",
        volume="0.0154437587",
        quote_volume="1339.7718447",
        trades=4,
    )


def test_linear_candles() -> None:
    """Volumes are those in coins and USDT. A coin-margined contract has none in quote units."""
    [candle] = parse(htx.linear_kline("4hour"), LINEAR, NOW)
    assert isinstance(candle, Candle)
    assert (candle.channel, candle.interval, candle.end - candle.start) == ("candles_4h", "4h", 4 * HOUR)
    assert (candle.volume, candle.quote_volume, candle.trades, candle.closed) == ("0.532", "46151.4788", 5, None)
    [candle] = parse(
        htx.linear_kline(instrument=INVERSE, amount="0.0063361237622382230467631278148229814", trade_turnover=""),
        INVERSE,
        NOW,
    )
    assert isinstance(candle, Candle)
    assert (candle.volume, candle.quote_volume) == ("0.006336123762238223", None)


@pytest.mark.parametrize(
    ("period", "start", "interval", "end"),
    [
        ("60min", 1_789_999_200, "1h", 1_790_002_800),
        ("1day", 1_789_920_000, "1d", 1_790_006_400),  # 2026-09-21 00:00 UTC+8
        ("1week", 1_789_920_000, "1w", 1_790_524_800),
        ("1mon", 1_788_192_000, "1M", 1_790_784_000),  # September and October 2026
        ("1year", 1_767_196_800, "1y", 1_798_732_800),  # 2026 and 2027
    ],
)
def test_candles_end_where_the_next_begins(period: str, start: int, interval: str, end: int) -> None:
    """Days and longer begin at midnight of UTC+8, and are published as they are."""
    [candle] = parse(htx.spot_kline(period, id=str(start)), SPOT, NOW)
    assert isinstance(candle, Candle)
    assert (candle.interval, candle.start, candle.end) == (interval, start * 1_000_000, end * 1_000_000)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("1.5443717758718889E-5", "0.000015443717758719"),
        ("347038.873910589999990613890000000000000000", "347038.873910589999990614"),
        ("0.0", "0.0"),
        ("0", "0"),
        ("", None),
    ],
)
def test_sums_are_rounded(text: str, volume: str | None) -> None:
    """A sum may have more decimal places than a column, and is rounded; others are kept as they are."""
    [candle] = parse(htx.spot_kline(amount=text), SPOT, NOW)
    assert isinstance(candle, Candle)
    assert candle.volume == volume


@pytest.mark.parametrize("period", ["1min", "60min"])
def test_mark_and_index_prices(period: str) -> None:
    """The newest bar closes at the current price. Both are readings of one kind."""
    mark = Reading("market.mark_prices", "mark_prices", SENT, {"mark_price": "86750.66"})
    index = Reading("market.mark_prices", "index_prices", SENT, {"index_price": "86750.66"})
    assert parse(htx.index_kline(f"mark_price.{period}"), LINEAR, NOW) == [mark]
    assert parse(htx.index_kline(f"index.{period}"), LINEAR, NOW) == [index]


def test_futures_have_the_index_of_their_pair() -> None:
    """The frame names the pair. A mark price is a contract's own."""
    assert len(parse(htx.index_kline("index.1min"), FUTURE, NOW)) == 1
    with pytest.raises(FrameError, match="frame for 'BTC-USDT' received on the subscription of 'BTC-USDT-261225'"):
        parse(htx.index_kline("mark_price.1min"), FUTURE, NOW)


def test_funding() -> None:
    """Strings, the time of the next payment, and only the instrument's own row of a frame with many."""
    other = htx.funding_row(contract_code="ETH-USDT", funding_rate="x")
    fields = {"type": "estimated", "rate": "-0.0001", "next_funding_at": (MS + 1000) * 1000}
    expected = [Reading("market.funding", "funding", (MS + 5) * 1000, fields)]
    assert parse(htx.funding_rates(other, htx.funding_row()), LINEAR, NOW) == expected


def test_liquidations() -> None:
    """All are published, each in coins with the bankruptcy price. Rows of other contracts are left out."""
    other = htx.liquidation_row(contract_code="ETH-USDT", price="x")
    second = htx.liquidation_row(direction="buy", amount=2, created_at=MS + 4)
    assert parse(htx.liquidations(other, htx.liquidation_row(), second), LINEAR, NOW) == [
        Liquidation("liquidations", (MS + 3) * 1000, "sell", "86012.5", None, "0.432", sampled=False),
        Liquidation("liquidations", (MS + 4) * 1000, "buy", "86012.5", None, "2", sampled=False),
    ]


def test_one_malformed_liquidation() -> None:
    """It costs only itself."""
    first, second = parse(htx.liquidations(htx.liquidation_row(), htx.liquidation_row(price=None)), LINEAR, NOW)
    assert isinstance(first, Liquidation)
    assert isinstance(second, Rejected)
    assert second.reason.startswith("row 2 of 2: not a decimal")


MALFORMED: list[tuple[str, bytes, Instrument, str]] = [
    ("unknown period", push(SPOT, "kline.2min", "{}"), SPOT, "unknown channel: 'kline.2min'"),
    ("years of a mark price", htx.index_kline("mark_price.1year"), LINEAR, "unknown channel"),
    ("part of the statistics", push(SPOT, "detail.part", "{}"), SPOT, "unknown channel"),
    ("other instrument", htx.spot_kline(), LINEAR, "frame for 'btcusdt'"),
    ("no tick", b'{"ch":"market.btcusdt.detail","ts":1790000000000}', SPOT, "missing field 'tick'"),
    ("tick not an object", push(SPOT, "detail", "[]"), SPOT, "wrong type"),
    ("no time", b'{"ch":"market.btcusdt.detail","tick":{}}', SPOT, "missing field 'ts'"),
    ("no price", htx.spot_detail(close=""), SPOT, "missing field 'close'"),
    ("price of zero", htx.spot_detail(close="0"), SPOT, "not above zero"),
    ("negative volume", htx.spot_kline(vol="-1.5"), SPOT, "not a price or amount"),
    ("negative volume of many digits", htx.spot_kline(vol="-1.0000000000000000000001"), SPOT, "not a price or amount"),
    ("huge volume", htx.spot_kline(vol="1e400"), SPOT, "out of range"),
    ("long volume", htx.spot_kline(vol="0." + "7" * 200), SPOT, "out of range: a number of 202 characters"),
    ("volume as text", htx.spot_kline(vol='"lots"'), SPOT, "not a decimal: 'lots'"),
    ("count of part", htx.spot_kline(count="4.5"), SPOT, "not an id"),
    ("start as text", htx.spot_kline(id='"1789999980"'), SPOT, "not an id"),
    ("start in the year 1970", htx.spot_kline(id="60"), SPOT, "not a timestamp"),
    ("mark price of zero", htx.index_kline(close='"0"'), LINEAR, "not above zero"),
    ("next payment", htx.funding_rates(htx.funding_row(settlement_time="soon")), LINEAR, "not a number"),
    ("rate as a list", htx.funding_rates(htx.funding_row(funding_rate=[])), LINEAR, "not a decimal string"),
    ("side", htx.liquidations(htx.liquidation_row(direction="up")), LINEAR, "not a side: 'up'"),
    ("amount of zero", htx.liquidations(htx.liquidation_row(amount=0)), LINEAR, "not above zero"),
    ("no contract", b'{"op":"notify","topic":"public.*.liquidation_orders","data":[{}]}', LINEAR, "'contract_code'"),
    ("no rows", b'{"op":"notify","topic":"public.*.liquidation_orders"}', LINEAR, "missing field 'data'"),
]


@pytest.mark.parametrize(
    ("frame", "instrument", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_malformed_frames_have_a_reason(frame: bytes, instrument: Instrument, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, instrument, NOW)


@given(
    st.sampled_from(["detail", "ticker", "kline.1min", "kline.1mon", "mark_price.1min", "mbp.refresh.20"]),
    st.sampled_from([SPOT, LINEAR]),
    anything,
)
def test_no_json_stops_a_partition(channel: str, instrument: Instrument, tick: Any) -> None:
    """Any JSON, as a channel's tick or as rows of a notification, is parsed to messages or to a `FrameError`."""
    topic = f"market.{instrument.exchange_symbol}.{channel}"
    rows = {"op": "notify", "topic": "public.*.liquidation_orders", "ts": MS, "data": tick}
    for frame in ({"ch": topic, "ts": MS, "tick": tick}, rows, rows | {"topic": "public.*.funding_rate"}):
        try:
            parse(dumps(frame), instrument, NOW)
        except FrameError:
            continue
