"""Readings: values that arrive on several channels become one event, and figures of a currency have a key."""

from typing import ClassVar

import orjson
import pytest

from schemas import events
from schemas.fields import SignedDecimal
from schemas.settings import load_settings
from streams import readings
from streams.normalize.messages import Reading
from streams.output import Output
from streams.raw_processor import RawProcessor
from streams.readings import ReadingHandler
from streams.status import FeedStatus
from streams.subject import Subject
from tests.frames import line
from tests.frames.binance import USDM

TOPIC = "market.sample"
SETTINGS = load_settings()


class Sample(events.MarketEvent):
    topic_name: ClassVar[str] = TOPIC
    table_name: ClassVar[str] = "sample"
    meaning: ClassVar[str] = "a kind for this test"

    rate: SignedDecimal
    mark: SignedDecimal | None


class Rig:
    """A handler of readings of one instrument."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(readings._FIELDS, TOPIC, ("rate", "mark"))
        monkeypatch.setitem(readings._REQUIRED, TOPIC, ("rate",))
        monkeypatch.setitem(readings._URGENT, TOPIC, ("rate",))
        subject = Subject(USDM)
        self.handler = ReadingHandler(subject, FeedStatus(subject, 10**6))

    def read(self, seconds: float, **fields: str | None) -> list[tuple[str, str | None]]:
        out = Output(1)
        out.begin("binance:0:1", 0, int(seconds * 1e6))
        self.handler.on_reading(out, Reading(TOPIC, "funding", int(seconds * 1e6) - 5, fields))
        return self._values(out)

    def tick(self, seconds: float) -> list[tuple[str, str | None]]:
        out = Output(1)
        out.begin("binance:0:2", 0, int(seconds * 1e6))
        self.handler.on_tick(out)
        return self._values(out)

    def _values(self, out: Output) -> list[tuple[str, str | None]]:
        bodies = [orjson.loads(value) for _, _, value in out.records]
        for body in bodies:
            Sample.model_validate(body)
        return [(body["rate"], body["mark"]) for body in bodies]


def test_readings_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is published before the required fields are known; others are null until they arrive."""
    rig = Rig(monkeypatch)
    assert rig.read(10, mark="5") == []
    assert rig.read(11, rate="-0.1") == [("-0.1", "5")]
    fresh = Rig(monkeypatch)
    assert fresh.read(10, rate="0.1") == [("0.1", None)]


def test_events_are_at_most_one_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """An urgent field that changes is published at once, all else once a second; a restart changes nothing."""
    rig = Rig(monkeypatch)
    assert rig.read(10, rate="0.1") == [("0.1", None)]
    assert rig.read(10.4, mark="6") == []
    assert rig.read(10.5, rate="0.2") == [("0.2", "6")]
    other = Rig(monkeypatch)
    other.handler.load(orjson.loads(orjson.dumps(rig.handler.dump())))
    for each in (rig, other):
        assert each.read(11.3, mark="7") == []
        assert each.read(11.5, mark="8") == [("0.2", "8")]
        assert each.tick(13) == []


def test_the_last_reading_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that came too soon waits for a tick, if no other follows; a restart in between changes nothing."""
    rig = Rig(monkeypatch)
    rig.read(10, rate="0.1")
    assert rig.read(10.2, mark="6") == rig.read(10.4, mark="7") == rig.tick(10.8) == []
    other = Rig(monkeypatch)
    other.handler.load(orjson.loads(orjson.dumps(rig.handler.dump())))
    for each in (rig, other):
        assert each.tick(11.8) == [("0.1", "7")]
        assert each.tick(12.8) == []


def test_what_lacks_a_required_field_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that takes a required field back leaves nothing to publish, until the field is there again."""
    rig = Rig(monkeypatch)
    rig.read(10, rate="0.1")
    assert rig.read(10.2, mark="6") == rig.read(10.4, rate=None) == rig.tick(12) == []
    assert rig.read(13, rate="0.2") == [("0.2", "6")]


def test_figures_of_a_currency_have_a_key() -> None:
    """A line of `okx:BTC` belongs to that currency, and leaves no dead letter."""
    partition = RawProcessor("okx", 0, SETTINGS)
    frame = b'{"arg":{"channel":"price-limit","instId":"BTC"},"data":[]}'
    assert partition.process(0, line("okx:BTC", frame)).records == []
    assert partition.entries["okx:BTC"].instrument.kind == "currency"
    odd = partition.process(1, line("okx:btc", frame))
    assert [topic for topic, _, _ in odd.records] == ["dead_letters"]
