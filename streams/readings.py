"""Publish the latest values of one instrument: kinds such as funding, whose events are a state and not a change.

An exchange may deliver the fields of such a kind on several channels, each at its own pace. An event has the latest
value of each field, and null for what the exchange has not delivered.
"""

from collections.abc import Mapping
from typing import Any

from schemas.events import EVENTS, MarketEvent
from streams.normalize.messages import Reading
from streams.output import Output
from streams.status import FeedStatus
from streams.subject import Subject

# µs between two events of a kind, unless an urgent field has changed. Less than the second at which exchanges send.
MIN_INTERVAL = 900_000


def _own_fields(required: bool) -> dict[str, tuple[str, ...]]:
    """Return the fields that a market event adds to the common ones, by topic: all, or those that cannot be null."""
    return {
        topic: tuple(
            name
            for name, field in event.model_fields.items()
            if name not in MarketEvent.model_fields and not (required and type(None) in _types(field.annotation))
        )
        for topic, event in EVENTS.items()
        if issubclass(event, MarketEvent)
    }


def _types(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", ())


_FIELDS, _REQUIRED = _own_fields(required=False), _own_fields(required=True)


def event_fields(topic: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the own fields of a topic's event, with null for those without a value."""
    return {name: values.get(name) for name in _FIELDS[topic]}


_URGENT = {topic: event.urgent for topic, event in EVENTS.items()}


class ReadingHandler:
    """Merges one instrument's readings by topic, and publishes the last of each second."""

    __slots__ = ("_latest", "_pending", "_published_at", "_status", "_subject")

    def __init__(self, subject: Subject, status: FeedStatus) -> None:
        self._subject = subject
        self._status = status
        self._latest: dict[str, dict[str, Any]] = {}
        self._pending: dict[str, int] = {}  # timestamps of the readings to publish, by topic
        self._published_at: dict[str, int] = {}

    def on_reading(self, out: Output, reading: Reading) -> None:
        """Take a reading, and publish an event if it is due."""
        if reading.channel:
            self._status.health_of(reading.channel).on_message(out.now, reading.timestamp)
        topic, latest = reading.topic, self._latest.setdefault(reading.topic, {})
        urgent = [latest.get(name) for name in _URGENT[topic]]
        latest.update(reading.fields)
        if any(latest.get(name) is None for name in _REQUIRED[topic]):
            self._pending.pop(topic, None)
            return  # the rest has not arrived yet, or is gone
        self._pending[topic] = reading.timestamp
        if urgent != [latest.get(name) for name in _URGENT[topic]] or self._is_due(out, topic):
            self._publish(out, topic)

    def on_tick(self, out: Output) -> None:
        """Publish the readings that came too soon after another, and were not followed by one."""
        for topic in [each for each in self._pending if self._is_due(out, each)]:
            self._publish(out, topic)

    def _is_due(self, out: Output, topic: str) -> bool:
        return out.now - self._published_at.get(topic, 0) >= MIN_INTERVAL

    def _publish(self, out: Output, topic: str) -> None:
        self._published_at[topic] = out.now
        fields = event_fields(topic, self._latest[topic])
        out.event(topic, self._subject.key, out.head(self._subject, self._pending.pop(topic)) | fields)

    def shift(self, step: int) -> None:
        """Move all remembered times by `step` µs: our clock was set."""
        self._published_at = {topic: at + step for topic, at in self._published_at.items()}

    def dump(self) -> list[Any]:
        """Return the state for a checkpoint."""
        return [self._latest, self._pending, self._published_at]

    def load(self, dump: list[Any]) -> None:
        """Restore the state of a checkpoint."""
        self._latest, self._pending, self._published_at = dump
