"""The AsyncAPI document describes every channel and message that there is."""

import re
from typing import Any

import jsonschema_rs
import orjson
import pytest

from marketprism.api.clients import frame_of, part
from marketprism.api.market import Market
from marketprism.api.routes.asyncapi import asyncapi
from tests.api.market_data import fill

CHANNELS = re.compile(r"^\| `([^`]+)` \| [^|]+ \| (list of )?(\w+) \|$", re.MULTILINE)


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a schema of the document with what it refers to."""
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi()


def test_every_reference_exists(document: dict[str, Any]) -> None:
    """Each reference leads to something."""
    for reference in re.findall(rb'"\$ref":"#/([^"]+)"', orjson.dumps(document)):
        place: Any = document
        for name in reference.decode().split("/"):
            place = place[name]
        assert place


def test_every_channel_is_described(document: dict[str, Any]) -> None:
    """Each kind of channel is in the table, and what it sends is of its schema."""
    market = Market()
    fill(market)
    market.on_second()
    rows = CHANNELS.findall(document["channels"]["stream"]["description"])
    described = {name.partition(":")[0]: (name, bool(items), model) for name, items, model in rows}
    assert {channel.name.partition(":")[0] for channel in market.channels} == set(described)
    for channel in market.channels:
        name, is_list, model = described[channel.name.partition(":")[0]]
        assert len(channel.name.split(":")) == len(name.split(":"))
        frame = orjson.loads(frame_of([part(channel, "snapshot", channel.snapshot())]))
        jsonschema_rs.validate(schema(document, "Changes"), frame)
        data = frame["changes"][0]["data"]
        for item in data if is_list else [data]:
            jsonschema_rs.validate(schema(document, model), item)
