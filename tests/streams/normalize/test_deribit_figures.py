"""Deribit's tickers, candles and hourly interest are parsed to messages, exact to the digit."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FrameError
from schemas.events import EVENTS, MarketEvent
from schemas.exchanges.deribit import RESOLUTIONS
from schemas.instruments import Instrument
from schemas.markers import answer_of
from streams.normalize import parse, parse_answer
from streams.normalize.deribit.figures import computed
from streams.normalize.messages import Candle, Normalized, Reading, Rejected, SeriesRow
from tests.frames import MS, deribit, dumps
from tests.frames.deribit import FUTURE, LINEAR, OPTION, PERPETUAL, SPOT, subscription
from tests.streams.normalize.strategies import anything

NOW = 1_790_000_000_000_001  # µs of receipt
START = 1_789_999_980_000_000  # µs, of the candles
HISTORY = "/api/v2/public/get_funding_rate_history"

SUMMARY = {
    "last": "86749.5", "high": "87400.0", "low": "84900", "volume": "8000.25", "quote_volume": "690000000.5",
    "window": "24h",
}  # fmt: skip
PRICES = {"mark_price": "86748.40", "index_price": "86744.2", "settlement_price": "86744.25"}
FUNDING = {
    "type": "estimated", "rate": "-0.0000125", "interval_hours": 8, "mark_price": "86748.40", "index_price": "86744.2",
}  # fmt: skip
OPTION_SUMMARY = {
    "mark_iv": "0.5512", "bid_iv": None, "ask_iv": "0.575", "delta": "-0.44512", "gamma": "0.00001", "vega": "91.2",
    "theta": "-48.05", "rho": "-30.4", "underlying_price": "86752.75", "underlying_index": "BTC-25SEP26",
    "open_interest": "1767.5",
}  # fmt: skip

READINGS: list[tuple[Instrument, dict[str, dict[str, Any]]]] = [
    (PERPETUAL, {
        "market.tickers": SUMMARY,
        "market.mark_prices": PRICES,
        "market.open_interest": {"value": "640000000"},
        "market.funding": FUNDING,
    }),
    (LINEAR, {
        "market.tickers": SUMMARY,
        "market.mark_prices": PRICES,
        "market.open_interest": {"amount": "1767.5"},
        "market.funding": FUNDING,
    }),
    (FUTURE, {
        "market.tickers": SUMMARY,
        "market.mark_prices": PRICES,
        "market.open_interest": {"value": "640000000"},
    }),
    (SPOT, {"market.tickers": SUMMARY}),
    (OPTION, {
        "market.tickers": SUMMARY | {"last": "0.0120", "quote_volume": None},
        "market.mark_prices": PRICES | {"mark_price": "0.0115"},
        "market.open_interest": {"amount": "1767.5"},
        "market.options": OPTION_SUMMARY,
    }),
]  # fmt: skip


@pytest.mark.parametrize(("instrument", "fields"), READINGS, ids=[each.symbol for each, _ in READINGS])
def test_tickers(instrument: Instrument, fields: dict[str, dict[str, Any]]) -> None:
    """A ticker has the figures of its kind of instrument; amounts are US dollars if the contract is inverse."""
    expected = [
        Reading(topic, "" if number else "tickers", MS * 1000, fields[topic]) for number, topic in enumerate(fields)
    ]
    assert parse(deribit.ticker(instrument), instrument, NOW) == expected


def own_fields(topic: str) -> set[str]:
    return set(EVENTS[topic].model_fields) - set(MarketEvent.model_fields)


def test_fields_are_those_of_the_events() -> None:
    """Readings have fields of their event, rows of a series all of them."""
    for _, fields in READINGS:
        assert all(set(each) <= own_fields(topic) for topic, each in fields.items())
    [row] = history(deribit.funding_history(deribit.interest_row()))
    assert isinstance(row, SeriesRow)
    assert set(row.fields) == own_fields("market.funding")


def reading_of(topic: str, frame: bytes, instrument: Instrument) -> dict[str, Any]:
    [fields] = [
        each.fields for each in parse(frame, instrument, NOW) if isinstance(each, Reading) and each.topic == topic
    ]
    return fields


def test_a_day_without_trades() -> None:
    """What there is none of is null, and never zero."""
    stats = '{"high":null,"low":null,"price_change":null,"volume":null}'
    fields = reading_of("market.tickers", deribit.ticker(OPTION, stats=stats), OPTION)
    assert fields == dict.fromkeys(SUMMARY) | {"last": "0.0120", "window": "24h"}


def test_an_instrument_that_was_never_traded() -> None:
    """It has no last price, and so no summary, but all other figures."""
    messages = parse(deribit.ticker(OPTION, last_price="null"), OPTION, NOW)
    topics = [each.topic for each in messages if isinstance(each, Reading)]
    assert topics == ["market.mark_prices", "market.open_interest", "market.options"]


@pytest.mark.parametrize(("instrument", "volume"), [(PERPETUAL, "690000000.0"), (LINEAR, None)])
def test_volume_in_dollars(instrument: Instrument, volume: str | None) -> None:
    """Old frames have the volume in US dollars alone, which are the quote currency of inverse contracts only."""
    frame = deribit.ticker(instrument, stats='{"high":1,"low":1,"volume":1,"volume_usd":690000000.0}')
    assert reading_of("market.tickers", frame, instrument)["quote_volume"] == volume


def test_a_worthless_option() -> None:
    """The mark price of an option may be zero, that of a future may not."""
    frame = deribit.ticker(OPTION, mark_price="0.0")
    assert reading_of("market.mark_prices", frame, OPTION)["mark_price"] == "0.0"
    with pytest.raises(FrameError, match="not above zero"):
        parse(deribit.ticker(FUTURE, mark_price="0.0"), FUTURE, NOW)


@given(st.decimals("0.01", "999.9999", places=4))
def test_volatilities_are_shifted_exactly(percent: Decimal) -> None:
    """A percentage becomes a fraction without rounding."""
    fields = reading_of("market.options", deribit.ticker(OPTION, mark_iv=f"{percent}"), OPTION)
    assert Decimal(fields["mark_iv"]) == percent.scaleb(-2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.000040037341082362756", "0.000040037341082363"),
        ("-4.0037341082362756e-05", "-0.000040037341082363"),
        ("-1e-30", "0"),
        ("0.50", "0.50"),
        (0, "0"),
        (-3, "-3"),
    ],
)
def test_computed_figures_are_rounded(value: str | int, text: str) -> None:
    """Digits beyond a column's 18 places are rounded; everything else stays as it was sent."""
    assert computed(value) == text


def test_candles() -> None:
    """A candle has no time, instrument or end of its own; volumes are in base and quote currency."""
    [candle] = parse(deribit.candle(), PERPETUAL, NOW)
    assert candle == Candle(
        channel="candles_1m", timestamp=NOW, interval="1m", start=START, end=START + 60_000_000, open="86740.5",
        high="86760", low="86731.0", close="86749.5", volume="0.172302", quote_volume="14950.0",
    )  # fmt: skip


@pytest.mark.parametrize(("interval", "resolution"), RESOLUTIONS.items())
def test_intervals(interval: str, resolution: str) -> None:
    """Each resolution has its interval and channel."""
    [candle] = parse(deribit.candle(OPTION, resolution, volume="0", cost="0"), OPTION, NOW)
    assert isinstance(candle, Candle)
    assert (candle.channel, candle.interval) == (f"candles_{interval}", interval)
    minutes = 1440 if resolution == "1D" else int(resolution)
    assert candle.end - candle.start == minutes * 60_000_000
    assert (candle.volume, candle.closed) == ("0", None)


MALFORMED: list[tuple[str, bytes, str]] = [
    ("an empty ticker", subscription("ticker.BTC-PERPETUAL.agg2", "{}"), "missing field 'instrument_name'"),
    ("another's ticker", deribit.ticker(LINEAR), "received on the subscription"),
    ("no statistics", deribit.ticker(stats=""), "missing field 'stats'"),
    ("statistics as a list", deribit.ticker(stats="[]"), "wrong type"),
    ("no last price", deribit.ticker(last_price=""), "missing field 'last_price'"),
    ("no mark price", deribit.ticker(mark_price=""), "missing field 'mark_price'"),
    ("a negative open interest", deribit.ticker(open_interest="-1"), "not a price"),
    ("a negative volume", deribit.ticker(stats='{"high":1,"low":1,"volume":-1.5e-05}'), "not a price"),
    ("a rate as true", deribit.ticker(current_funding="true"), "not a decimal"),
    ("a rate in words", deribit.ticker(current_funding='"free"'), "out of range"),
    ("a huge rate", deribit.ticker(current_funding="1e30"), "out of range"),
    ("no time", deribit.ticker(timestamp="0"), "not a timestamp"),
    ("a resolution", deribit.candle(resolution="7"), "unknown resolution of candles: '7'"),
    ("no tick", deribit.candle(tick=""), "missing field 'tick'"),
    ("a price of zero", deribit.candle(low="0.0"), "not above zero"),
    ("no volume at all", deribit.candle(volume=""), "missing field 'volume'"),
    ("another's candle", deribit.candle(LINEAR), "received on the subscription"),
    ("candles of what", subscription("chart.quotes.BTC-PERPETUAL.1", "{}"), "unknown channel"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_frames_have_a_reason(frame: bytes, reason: str) -> None:
    """A malformed frame is rejected, with what is wrong with it."""
    with pytest.raises(FrameError, match=reason):
        parse(frame, PERPETUAL, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"greeks": ""}, "missing field 'greeks'"),
        ({"greeks": '{"delta":1}'}, "missing field 'gamma'"),
        ({"mark_iv": "-1"}, "not a price"),
        ({"underlying_index": "7"}, "not a name"),
        ({"underlying_index": '""'}, "not a name"),
    ],
)
def test_malformed_options(changes: dict[str, str], reason: str) -> None:
    """So is an option's ticker."""
    with pytest.raises(FrameError, match=reason):
        parse(deribit.ticker(OPTION, **changes), OPTION, NOW)


def history(body: bytes, name: str = "BTC-PERPETUAL") -> list[Normalized]:
    query = f"instrument_name={name}&start_timestamp=1789992000000&end_timestamp=1789999200000"
    return parse_answer(answer_of("funding_history", f"{HISTORY}?{query}", NOW, body), PERPETUAL, NOW)


def settled(hour: int, rate: str) -> SeriesRow:
    fields = {
        "type": "settled", "rate": rate, "interval_hours": 1, "next_funding_at": None, "mark_price": None,
        "index_price": None,
    }  # fmt: skip
    return SeriesRow("market.funding", "settled", hour * 3_600_000_000, fields)


def test_funding_history() -> None:
    """Each hour's interest, oldest first, whatever the order of the answer."""
    later = deribit.interest_row(timestamp="1789999200000", interest_1h="-4.0037341082362756e-05")
    body = deribit.funding_history(later, deribit.interest_row())
    assert history(body) == [
        settled(497221, "0.000004003734108236"), settled(497222, "-0.000040037341082363"),
    ]  # fmt: skip
    assert history(deribit.funding_history()) == []


def test_a_malformed_hour_costs_only_itself() -> None:
    """The other rows are published."""
    bad = deribit.interest_row(interest_1h="")
    rejected, good = history(deribit.funding_history(deribit.interest_row(), bad))
    assert rejected == Rejected("row 2 of 2: missing field 'interest_1h'", bad.encode())
    assert isinstance(good, SeriesRow)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"jsonrpc":"2.0","error":{"code":10028,"message":"too_many_requests"}}', "missing field 'result'"),
        (b"<html>", "wrong type"),
        (deribit.funding_history(deribit.interest_row(timestamp="1")), "not a timestamp"),
    ],
)
def test_malformed_answers(body: bytes, reason: str) -> None:
    """An answer without good rows is rejected, and so is one about another instrument."""
    with pytest.raises(FrameError, match=reason):
        history(body)
    with pytest.raises(FrameError, match="ETH-PERPETUAL"):
        history(deribit.funding_history(), "ETH-PERPETUAL")


@given(
    st.sampled_from([("ticker.{}.agg2", PERPETUAL), ("ticker.{}.agg2", OPTION), ("chart.trades.{}.60", PERPETUAL)]),
    anything,
)
def test_no_json_stops_a_partition(channel: tuple[str, Instrument], body: Any) -> None:
    """Any JSON as a channel's data, or as an answer, is parsed to messages or to a `FrameError`."""
    name, instrument = channel
    params = {"channel": name.format(instrument.exchange_symbol), "data": body}
    with suppress(FrameError):
        parse(dumps({"method": "subscription", "params": params}), instrument, NOW)
    with suppress(FrameError):
        history(dumps({"result": body}))
