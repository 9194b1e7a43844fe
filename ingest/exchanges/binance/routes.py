"""Route Binance's frames: by the name of their stream, or by their own fields."""

from functools import lru_cache
from typing import Any

import orjson

from ingest.exchanges.base import CONTROL, LONGEST_NAME, UNKNOWN_FRAME, Route
from ingest.exchanges.binance.channels import COINM, CONTINUOUS_KLINE, SPOT, USDM
from schemas.json_object import json_object

ANNOUNCEMENTS = "!contractInfo"

HEAD = b'{"stream":"'
START = len(HEAD)
"""Where the stream's name begins in a frame of the combined wrapper."""

# Our channels by the first word of the stream's name, `<contract>@<first word>` for continuous contracts.
_CHANNELS = {
    name.removesuffix("@100ms").removesuffix("@1s"): channel
    for rows in (SPOT, USDM, COINM)
    for channel, row in rows.items()
    for name in (row.name, *(variant.name for variant in row.variants))
}
# Streams of events that name their instrument in `s`.
_STREAMS = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "depthUpdate": "depth",
    "bookTicker": "bookTicker",
    "24hrTicker": "ticker",
    "markPriceUpdate": "markPrice",
}


def route_of_name(stream: str) -> Route:
    """Return the route of a stream."""
    return route_of_stream(stream.encode()) if len(stream) <= LONGEST_NAME else UNKNOWN_FRAME


@lru_cache(maxsize=65536)
def route_of_stream(name: bytes) -> Route:
    """Route a stream name: `btcusdt@depth@100ms` → books of BTCUSDT.

    Names may contain non-ASCII letters, also as JSON escapes.
    """
    try:
        decoded = orjson.loads(b'"%s"' % name)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if decoded == "!serverShutdown":
        return CONTROL
    if decoded == ANNOUNCEMENTS:
        return Route("data", "", "", ANNOUNCEMENTS)
    symbol, _, stream = decoded.partition("@")
    if not symbol or not stream:
        return UNKNOWN_FRAME
    word = stream.partition("@")[0]
    if word.startswith(CONTINUOUS_KLINE):
        symbol, _, contract = symbol.partition("_")
        word = f"{contract}@{word}"
    channel = _CHANNELS.get(word)
    return Route("data", symbol.upper(), channel) if channel else Route("data", symbol.upper(), "", stream)


def route_of_object(frame: bytes) -> Route:
    """Route any other frame: of a raw stream, without the combined wrapper; a REST snapshot; a control frame."""
    body = json_object(frame) or {}
    if type(stream := body.get("stream")) is str:
        return route_of_name(stream)
    event = body.get("e")
    if type(name := _stream_of_event(body)) is str:
        return route_of_name(name)
    if type(symbol := body.get("s")) is str:
        return Route("data", symbol, "", str(event)) if event else Route("data", symbol, "quotes")
    if "lastUpdateId" in body:
        return Route("data", "", "snapshot")
    if event == "serverShutdown" or (event is None and ("result" in body or "code" in body or "error" in body)):
        return CONTROL
    return UNKNOWN_FRAME


def _stream_of_event(body: dict[str, Any]) -> str | None:
    """Return the name of the stream that sends such an event, in the events' spelling of symbols; None if unknown."""
    try:
        match body["e"]:
            case "kline":
                return f"{body['s']}@kline_{body['k']['i']}"
            case "continuous_kline":
                return f"{body['ps']}_{body['ct'].lower()}@{CONTINUOUS_KLINE}{body['k']['i']}"
            case "forceOrder":
                return f"{body['o']['s']}@forceOrder"
            case event:
                return f"{body['s']}@{_STREAMS[event]}"
    except (KeyError, TypeError, AttributeError):
        return None
