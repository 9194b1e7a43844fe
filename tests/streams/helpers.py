"""Run raw records through a partition, and select what they caused."""

from typing import Any

import orjson

from schemas.events import EVENTS
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor

Found = list[tuple[str, dict[str, Any]]]  # topic and body


def run(exchange: str, *records: bytes) -> Found:
    """Return everything that raw records cause. Every event is checked against its model."""
    partition = RawProcessor(exchange, 0, load_settings())
    found = []
    for offset, record in enumerate(records):
        for topic, _, value in partition.process(offset, record).records:
            body = orjson.loads(value)
            if topic in EVENTS:
                EVENTS[topic].model_validate(body)
                assert value.startswith(b'{"source":"' + exchange.encode() + b":0:%d:" % offset)
            found.append((topic, body))
    return found


def bodies(found: Found, topic: str) -> list[dict[str, Any]]:
    """Return the bodies of one topic."""
    return [body for name, body in found if name == topic]
