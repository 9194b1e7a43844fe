"""Candles of trades equal those that the simulated exchanges send, except for planted faults, which have their cause.

The exchanges run without sockets and by a clock of their own, two minutes in a moment.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import orjson
import pytest

from marketprism.simulator import Simulators
from marketprism.simulator.server import connection
from marketprism.simulator.server.connection import Connection
from schemas.events import EVENTS
from schemas.instruments import Instrument, defined_instrument
from schemas.raw import encode_line
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from streams.trade_candles.causes import FIELDS as FIGURES
from tests.frames import marker
from tests.streams.trade_candles.rig import Body, bodies

BEGIN = 1_790_000_020_000  # ms: 20 s before a minute
SECONDS = 165
STEP_MS = 10
FEEDS = {
    "binance-spot": ("BTC-USDT", ["btcusdt@trade"], ["btcusdt@kline_1s", "btcusdt@kline_1m"]),
    "binance-usdm": ("BTC-USDT-PERP", ["btcusdt@trade"], ["btcusdt@kline_1m"]),
    "binance-coinm": ("BTC-USD-PERP", ["btcusd_perp@trade"], ["btcusd_perp@kline_1m"]),
    "okx": ("BTC-USD-PERP", ["trades:BTC-USD-SWAP"], ["candle1s:BTC-USD-SWAP", "candle1m:BTC-USD-SWAP"]),
    "htx-spot": ("BTC-USDT", ["market.btcusdt.trade.detail"], ["market.btcusdt.kline.1min"]),
    "htx-linear": ("BTC-USDT-PERP", ["market.BTC-USDT.trade.detail"], ["market.BTC-USDT.kline.1min"]),
    "deribit": ("BTC-USD-PERP", ["trades.BTC-PERPETUAL.100ms"], ["chart.trades.BTC-PERPETUAL.1"]),
}


class Received(NamedTuple):
    """A frame with the time of its receipt, ms."""

    at: int
    is_trade: bool
    frame: bytes


class _Client:
    """A subscriber that keeps what is sent to it."""

    combined = True
    id = "0"

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self.send = lambda frame, *_, **__: keep(frame)


@cache
def frames_of(feed: str) -> tuple[Received, ...]:
    """Return the trades and candles of one instrument, as an exchange sends them."""
    _, trades, candles = FEEDS[feed]
    now, found = BEGIN, list[Received]()
    clock = SimpleNamespace(time_ns=lambda: now * 1_000_000, monotonic=lambda: now / 1000)
    with patch.object(connection, "time", clock):
        simulators = Simulators([feed], rate=4.0)
        server = simulators._server(feed)
        for name in (*trades, *candles):
            is_trade = name in trades
            client = _Client(lambda frame, is_trade=is_trade: found.append(Received(now, is_trade, frame)))  # type: ignore[misc]
            server.streams[name].subscribers.add(cast(Connection, client))
        for number in range(SECONDS * 1000 // STEP_MS):
            now = BEGIN + (number + 1) * STEP_MS
            simulators._step(number)
    return tuple(found)


def instrument_of(feed: str) -> Instrument:
    listing = next(
        each for each in Simulators([feed])._server(feed).instruments.values() if each.listing.symbol == FEEDS[feed][0]
    )
    exchange = feed.partition("-")[0]
    size, inverse = str(listing.listing.contract), listing.listing.inverse
    return defined_instrument(feed, exchange, listing.listing.symbol, contract_size=size, inverse=inverse)


def lines_of(feed: str, received: list[Received], markers: list[tuple[int, str, Body]]) -> Iterator[bytes]:
    """Return raw lines: the definition, the subscription, what was received, and the markers, with a tick a second."""
    instrument = instrument_of(feed)
    key, every = instrument.key, ["trades", "candles_1s", "candles_1m"]
    start = [
        (BEGIN, "instrument", instrument.model_dump()),
        (BEGIN, "connected", {"channels": every}),
        (BEGIN, "subscribed", {"channels": every}),
    ]
    ticks: list[tuple[int, str, Body]] = [(BEGIN + second * 1000, "tick", {}) for second in range(1, SECONDS + 20)]
    entries: list[tuple[int, bytes]] = [(each.at, encode_line(each.at * 10**6, key, each.frame)) for each in received]
    for at, kind, fields in (*start, *markers, *ticks):
        line = marker(f"{instrument.exchange}:*" if kind == "tick" else key, kind, 0, **fields)
        entries.append((at, line.replace(b"1790000000000000000", b"%d" % (at * 10**6), 1)))
    yield from (line for _, line in sorted(entries, key=lambda entry: entry[0]))


class Run:
    """What the frames of a feed become."""

    def __init__(self, feed: str, received: list[Received], *markers: tuple[int, str, Body]) -> None:
        exchange = feed.partition("-")[0]
        worker, self.found = RawProcessor(exchange, 0, load_settings()), list[tuple[str, Body]]()
        self.values: list[bytes] = []
        for offset, line in enumerate(lines_of(feed, received, list(markers))):
            for topic, _, value in worker.process(offset, line).records:
                body = orjson.loads(value)
                if topic in EVENTS:
                    EVENTS[topic].model_validate(body)
                self.found.append((topic, body))
                self.values.append(value)

    def bodies(self, topic: str, **fields: Any) -> list[Body]:
        return bodies(self.found, topic, **fields)

    def counts(self, interval: str) -> tuple[int, int]:
        reports = self.bodies("market.quality", type="report", check="candle", interval=interval)
        return sum(body["agreed"] for body in reports), sum(body["differed"] for body in reports)

    def differences(self) -> list[tuple[str, int, str]]:
        """Return interval, start (seconds since the begin) and cause of each difference."""
        return [
            (body["interval"], body["start"] // 1_000_000 - BEGIN // 1000, body["cause"])
            for body in self.bodies("market.quality", type="difference", check="candle")
        ]


@pytest.mark.parametrize("feed", FEEDS)
def test_all_complete_candles_agree(feed: str) -> None:
    """With the exchange's, in every digit of every field. Only the candles that had begun before are incomplete."""
    run = Run(feed, list(frames_of(feed)))
    assert run.counts("1m") == (2, 0)
    minutes = run.bodies("market.candles", origin="trades", interval="1m", closed=True)
    assert [(body["start"] // 1_000_000 - BEGIN // 1000, body["complete"]) for body in minutes] == [
        (-40, False), (20, True), (80, True),
    ]  # fmt: skip
    own = {"exchange": feed.partition("-")[0], "closed": True, "complete": True, "interval": "1m"}
    theirs = {body["start"]: body for body in run.bodies("market.candles", origin="exchange", **own)}
    places = 8 if instrument_of(feed).inverse else 18  # to which base volumes are published
    for ours in minutes[1:]:
        for name in FIGURES:
            if theirs[ours["start"]][name] is not None:
                digits = places if name in ("volume", "taker_buy_volume") else 18
                assert round(Decimal(theirs[ours["start"]][name]), digits) == round(Decimal(ours[name]), digits)
    assert [cause for _, _, cause in run.differences()] == ["gap"] * len(run.differences())
    assert {start for interval, start, _ in run.differences() if interval == "1m"} == {-40}
    if len(FEEDS[feed][2]) > 1:  # it has candles of a second, too
        agreed, differed = run.counts("1s")
        assert agreed > 120
        assert differed == 0


@pytest.mark.parametrize("feed", FEEDS)
def test_the_same_lines_give_the_same_bytes(feed: str) -> None:
    """Candles and comparisons depend on the raw lines alone."""
    received = list(frames_of(feed))
    assert Run(feed, received).values == Run(feed, received).values


def trades_in(received: list[Received], second: int) -> list[int]:
    """Return the places of trades received in the second half of a second after the begin."""
    return [
        place
        for place, each in enumerate(received)
        if each.is_trade and BEGIN + second * 1000 + 300 <= each.at < BEGIN + second * 1000 + 900
    ]


def second_with_trades(received: list[Received], first: int) -> tuple[int, int]:
    """Return the first second from one on with a trade, and the trade's place."""
    found = ((second, places) for second in range(first, first + 20) if (places := trades_in(received, second)))
    second, places = next(found)
    return second, places[0]


@pytest.mark.parametrize("feed", FEEDS)
def test_a_lost_trade(feed: str) -> None:
    """It is known where ids are consecutive: its candle is not complete, and is reported with the cause."""
    received = list(frames_of(feed))
    _, place = second_with_trades(received, 40)
    run = Run(feed, received[:place] + received[place + 1 :])
    is_known = not feed.startswith("htx")
    assert ("1m", 20, "gap" if is_known else "") in run.differences()
    assert run.counts("1m") == ((1, 0) if is_known else (1, 1))


@pytest.mark.parametrize("feed", FEEDS)
def test_a_late_trade(feed: str) -> None:
    """What comes after the grace explains the difference."""
    received = list(frames_of(feed))
    _, place = second_with_trades(received, 40)
    late = received[place]._replace(at=received[place].at + 5_000)
    run = Run(feed, sorted([*received[:place], *received[place + 1 :], late], key=lambda each: each.at))
    assert ("1m", 20, "late") in run.differences()
    assert sum(body["late"] for body in run.bodies("market.quality", check="candle")) >= 1


@pytest.mark.parametrize("feed", FEEDS)
def test_repeated_and_delayed_trades(feed: str) -> None:
    """Trades from two sockets, and any order within the grace, change nothing."""
    received = list(frames_of(feed))
    shuffled = [each._replace(at=each.at + place * 7919 % 1_500 * each.is_trade) for place, each in enumerate(received)]
    twice = sorted([*shuffled, *(each for each in received if each.is_trade)], key=lambda each: each.at)
    run = Run(feed, twice)
    assert run.counts("1m") == (2, 0)


@pytest.mark.parametrize("feed", FEEDS)
def test_an_outage(feed: str) -> None:
    """The candles of the time without a connection are reported with the cause, and no others."""
    received = list(frames_of(feed))
    down, up = BEGIN + 90_000, BEGIN + 95_000
    left = [each for each in received if not (each.is_trade and down <= each.at < up)]
    channels = {"channels": ["trades"], "reason": ""}
    run = Run(feed, left, (down, "disconnected", channels), (up, "connected", channels), (up, "subscribed", channels))
    assert run.counts("1m") == (1, 0)
    assert {(start, cause) for interval, start, cause in run.differences() if interval == "1m"} == {
        (-40, "gap"), (80, "gap"),
    }  # fmt: skip
    assert all(start < 0 or 85 <= start <= 95 for interval, start, _ in run.differences() if interval == "1s")


def test_trades_off_the_book() -> None:
    """An exchange that counts a trade of the insurance fund in its candles differs from ours, for that reason."""
    received = list(frames_of("binance-usdm"))
    _, place = second_with_trades(received, 40)
    frame = received[place].frame
    marked = frame.replace(b'"X":"MARKET"', b'"X":"INSURANCE_FUND"')
    assert marked != frame
    received[place] = received[place]._replace(frame=marked)
    run = Run("binance-usdm", received)
    assert ("1m", 20, "not_on_book") in run.differences()
    assert run.counts("1m") == (1, 1)
