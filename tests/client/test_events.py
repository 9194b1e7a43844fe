"""The client's events are those of the event models."""

from decimal import Decimal
from typing import Any

import msgspec
import orjson
import pytest
from msgspec import Struct

from marketprism import client
from marketprism.client.events import Funding
from marketprism.client.generate import PATH, rendered
from marketprism.client.kinds import EventKind
from marketprism.client.level import Level
from schemas.events import EVENTS
from tests.sinks.events import encoded, event


def test_generated_module_is_current() -> None:
    """The events follow the models, with all fields, types and descriptions."""
    assert PATH.read_text("utf-8") == rendered(), "run `make docs`"


def test_every_kind_has_a_function() -> None:
    """Each event model can be read with the client, under the name of its table."""
    kinds = {name: kind for name, kind in vars(client).items() if isinstance(kind, EventKind)}
    tables = {"book_events" if model.table_name == "books" else model.table_name for model in EVENTS.values()}
    assert kinds.keys() == tables
    assert {kind.model.topic_name for kind in kinds.values()} == EVENTS.keys()


@pytest.mark.parametrize("topic", EVENTS)
def test_events_are_decoded_exactly(topic: str) -> None:
    """Every field arrives, decimals without rounding."""
    [model] = [
        kind.model for kind in vars(client).values() if isinstance(kind, EventKind) if kind.model.topic_name == topic
    ]
    decoded = msgspec.json.decode(encoded(topic), type=model)
    assert as_published(decoded) == event(topic)


def as_published(value: Any) -> Any:
    """Return a decoded value as the JSON had it."""
    if isinstance(value, Level):
        return [f"{value.price_text}", f"{value.amount_text}"]
    if isinstance(value, Struct):
        return {name: as_published(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list):
        return [as_published(each) for each in value]
    return f"{value:f}" if isinstance(value, Decimal) else value


def test_older_events() -> None:
    """A field that older events lack has its default."""
    body = event("market.funding")
    del body["type"]
    assert msgspec.json.decode(orjson.dumps(body), type=Funding).type == "estimated"


def test_levels() -> None:
    """A level has exact numbers, and can be unpacked."""
    price, amount = level = msgspec.json.decode(b'["0.10000000000000000001","3"]', type=Level)
    assert str(level) == "0.10000000000000000001 × 3"
    assert (price, amount) == (level.price, level.amount) == (Decimal("0.10000000000000000001"), Decimal(3))
