"""Polled series: each period is published once."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FrameError
from streams.normalize.messages import SeriesRow
from streams.output import Output
from streams.series import SeriesHandler
from streams.status import FeedStatus
from streams.subject import Subject
from tests.frames.binance import USDM

TOPIC = "market.long_short_ratios"


def handler_of() -> SeriesHandler:
    subject = Subject(USDM)
    return SeriesHandler(subject, FeedStatus(subject, 10**6))


def rows(handler: SeriesHandler, *periods: int, series: str = "all_accounts 5m", topic: str = TOPIC) -> list[int]:
    """Pass rows to a handler and return the timestamps published."""
    out = Output(1)
    out.begin("binance:0:1", 0, 10**15)
    for period in periods:
        handler.on_row(out, SeriesRow(topic, series, period, {"ratio": "1"}))
    return [orjson.loads(value)["timestamp"] for _, _, value in out.records]


def test_answers_overlap() -> None:
    """An answer repeats what earlier ones had. Series and topics are apart, and a restart forgets nothing."""
    handler = handler_of()
    assert rows(handler, 100) == [100]
    assert rows(handler, 100, 200, 300) == [200, 300]
    assert rows(handler, 100, series="top_accounts 5m") == [100]
    assert rows(handler, 100, topic="market.funding") == [100]
    other = handler_of()
    other.load(orjson.loads(orjson.dumps(handler.dump())))
    assert rows(other, 300, 400) == [400]


def test_a_period_in_the_future_is_rejected() -> None:
    """It would make all that follow look old."""
    handler = handler_of()
    with pytest.raises(FrameError, match="a time in the future"):
        rows(handler, 10**15 + 3_700_000_000)
    assert rows(handler, 100, 10**15) == [100, 10**15]


@given(st.lists(st.integers(1, 30), max_size=60))
def test_times_only_grow(periods: list[int]) -> None:
    """Each period is published at most once, and in order."""
    found = rows(handler_of(), *periods)
    assert found == sorted(set(found))
    assert set(found) <= set(periods)
    assert not periods or found[-1] == max(periods)
