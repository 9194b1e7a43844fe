"""Candles of an exchange: throttled while open, closed exactly once."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FrameError
from schemas.events import EVENTS
from streams.candles import CandleHandler
from streams.normalize.messages import Candle
from streams.output import Output
from streams.status import FeedStatus
from streams.subject import Subject
from streams.trade_candles.reconciliation import Reconciliation
from tests.frames.binance import SPOT

MINUTE, SECOND = 60_000_000, 1_000_000


def candle(start: int, close: str = "10", closed: bool | None = None, channel: str = "candles_1m") -> Candle:
    begin = start * MINUTE
    return Candle(channel, begin, "1m", begin, begin + MINUTE, "10", "11", "9", close, "5", closed=closed)


class Rig:
    """A handler of one instrument's candles. Methods return (start in minutes, close, closed, complete) of events."""

    def __init__(self) -> None:
        self.subject = Subject(SPOT)
        self.status = FeedStatus(self.subject, 10**6)
        self.handler = CandleHandler(self.subject, self.status, Reconciliation(self.subject, ()))

    def take(self, seconds: float, *candles: Candle) -> list[tuple[Any, ...]]:
        out = self._out(seconds)
        for each in candles:
            self.handler.on_candle(out, each)
        return self._events(out)

    def tick(self, seconds: float) -> list[tuple[Any, ...]]:
        out = self._out(seconds)
        self.handler.on_tick(out)
        return self._events(out)

    def restart(self) -> None:
        dump = orjson.loads(orjson.dumps(self.handler.dump()))
        self.handler = CandleHandler(self.subject, self.status, Reconciliation(self.subject, ()))
        self.handler.load(dump)

    def _out(self, seconds: float) -> Output:
        out = Output(1)
        out.begin("binance:0:1", 0, int(seconds * SECOND))
        return out

    def _events(self, out: Output) -> list[tuple[Any, ...]]:
        found = []
        for topic, _, value in out.records:
            body = orjson.loads(value)
            EVENTS[topic].model_validate(body)
            found.append((body["start"] // MINUTE, body["close"], body["closed"], body["complete"]))
        return found


@pytest.mark.parametrize("restarts", [False, True])
def test_an_open_candle_is_published_once_a_second(restarts: bool) -> None:
    """An update that came too soon waits for a tick; a restart in between changes nothing."""
    rig = Rig()
    assert rig.take(60, candle(1)) == [(1, "10", False, True)]
    assert rig.take(60.3, candle(1, "10.5")) == []
    if restarts:
        rig.restart()
    assert rig.tick(60.5) == []
    assert rig.tick(61) == [(1, "10.5", False, True)]
    assert rig.tick(62) == []


def test_a_closed_candle_is_published_once_and_at_once() -> None:
    """Repetitions and updates after the close, and candles older than the last, are duplicates."""
    rig = Rig()
    rig.take(119.8, candle(1))
    assert rig.take(120, candle(1, "12", True), candle(1, "12", True), candle(1, "13"), candle(0)) == [
        (1, "12", True, True)
    ]
    assert rig.status.health_of("candles_1m").repeated == 3
    assert rig.take(120.5, candle(2)) == []
    assert rig.tick(121) == [(2, "10", False, True)]


def test_the_next_candle_closes_one_without_a_mark() -> None:
    """The last update counts, even if it had not been published."""
    rig = Rig()
    rig.take(60, candle(1), candle(1, "11"))
    assert rig.take(120, candle(2)) == [(1, "11", True, True)]
    assert rig.tick(121) == [(2, "10", False, True)]


def test_a_candle_that_may_lack_its_last_update_is_incomplete() -> None:
    """After an outage without a further update, or if the next candle does not follow."""
    rig = Rig()
    rig.take(60, candle(1))
    rig.handler.on_outage(["candles_1m", "books"])
    assert rig.take(120, candle(2)) == [(1, "10", True, False)]
    assert rig.take(180, candle(3))[0] == (2, "10", True, True)
    assert rig.take(300, candle(5))[0] == (3, "10", True, False)
    rig.handler.on_outage(["candles_1m"])
    rig.take(330, candle(5, "14"))  # updates hold the whole candle, so nothing is missing any more
    assert rig.take(360, candle(6))[0] == (5, "14", True, True)


def test_a_missing_mark_is_a_missing_update() -> None:
    """Where the exchange marks the last update of a candle, and the next one begins without it."""
    rig = Rig()
    rig.take(60, candle(1, closed=False))
    assert rig.take(120, candle(2, closed=False))[0] == (1, "10", True, False)
    rig.handler.on_outage(["candles_1m"])
    assert rig.take(180, candle(2, "14", True)) == [(2, "14", True, True)]


def test_a_candle_of_the_future_is_rejected() -> None:
    """It would make all that follow look old."""
    rig = Rig()
    with pytest.raises(FrameError, match="a time in the future"):
        rig.take(60, candle(63))
    assert rig.take(60, candle(1)) == [(1, "10", False, True)]


def test_channels_are_apart() -> None:
    """Each interval has its own open candle."""
    rig = Rig()
    assert rig.take(60, candle(1), candle(1, channel="candles_5m")) == [(1, "10", False, True)] * 2


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from([None, True, False])), max_size=40), st.integers(0, 40))
def test_every_candle_is_closed_at_most_once(updates: list[tuple[int, bool | None]], cut: int) -> None:
    """Whatever arrives, in any order: nothing follows a closed candle, and starts never go back; a restart or not."""
    rig, found = Rig(), []
    for number, (start, closed) in enumerate(updates):
        if number == cut:
            rig.restart()
        found += rig.take(60 + number * 0.4, candle(start, closed=closed))
    closed_starts = [start for start, _, is_closed, _ in found if is_closed]
    assert len(set(closed_starts)) == len(closed_starts)
    assert [start for start, *_ in found] == sorted(start for start, *_ in found)
    for position, (start, _, is_closed, _) in enumerate(found):
        assert not is_closed or start not in [later for later, *_ in found[position + 1 :]]
