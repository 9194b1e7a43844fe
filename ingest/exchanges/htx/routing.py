"""Route HTX's frames by their topic, and interpret the control frames of its notification socket."""

from functools import lru_cache
from typing import Any

import orjson

from ingest.exchanges.base import CONTROL, LONGEST_NAME, UNKNOWN_FRAME, Control, Route
from ingest.exchanges.htx.channels import channel_named
from schemas.json_object import json_object


@lru_cache(maxsize=65536)
def route_of_topic(topic: bytes) -> Route:
    """Route a topic: `market.btcusdt.mbp.150` → books of btcusdt.

    Swaps come in upper case, however they were requested.
    """
    try:
        market, symbol, name = topic.decode().split(".", 2)
    except ValueError:
        return UNKNOWN_FRAME
    if market not in ("market", "public") or not symbol or not name:
        return UNKNOWN_FRAME
    channel = channel_named(name)
    return Route("data", symbol, channel) if channel else Route("data", symbol, "", name)


def route_of_name(topic: str) -> Route:
    """Route a topic of any length."""
    return route_of_topic(topic.encode()) if len(topic) <= LONGEST_NAME else UNKNOWN_FRAME


def route_of_object(frame: bytes) -> Route:
    """Route a frame of any form."""
    body = json_object(frame) or {}
    if type(topic := body.get("ch")) is str:
        return route_of_name(topic)
    if type(topic := body.get("rep")) is str:
        found = route_of_name(topic)
        return Route("data", found.symbol, "snapshot") if found.kind == "data" else found
    if body.get("op") == "notify":
        return route_of_name(str(body.get("topic", "")))
    known = "ping" in body or "subbed" in body or "unsubbed" in body or "op" in body
    return CONTROL if known or body.get("status") == "error" else UNKNOWN_FRAME


def control_of_operation(body: dict[str, Any]) -> Control:
    """Interpret a control frame of the notification socket, which has another format."""
    operation = body["op"]
    if operation == "ping":
        stamp = body.get("ts")
        reply = orjson.dumps({"op": "pong", "ts": stamp}).decode() if type(stamp) in (int, str) else ""
        return Control("routine", reply=reply)
    if operation == "sub" and body.get("err-code") == 0:
        return Control("acknowledged", str(body.get("cid", "")), (route_of_name(str(body.get("topic", ""))),))
    if operation == "unsub":
        return Control("routine")
    if operation == "close":
        return Control("closing", reason="the exchange announces a close")
    rejected = operation in ("sub", "error")
    return Control("rejected" if rejected else "unknown", str(body.get("cid", "")), reason=str(body)[:200])
