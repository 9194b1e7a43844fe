"""Connectors for Binance spot and USD-M futures (docs/protocols/binance.md §1, §2)."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import orjson

from ingest.exchanges.base import (
    CONTROL,
    LONGEST_NAME,
    UNKNOWN_FRAME,
    ChannelRow,
    Connector,
    Control,
    Request,
    Route,
    data_route,
    in_parts,
)
from ingest.exchanges.listing import number, optional_text, plain, text
from ingest.rest import Rest
from schemas.errors import ExchangeError, SymbolError
from schemas.feeds import to_exchange
from schemas.instruments import Instrument, defined_instrument
from schemas.json_object import json_object
from schemas.symbols import Selection, parse_symbol

_EVENTS = {"trade": "trades", "bookTicker": "quotes", "depthUpdate": "books", "markPriceUpdate": "mark_prices"}
_STREAMS_PER_MESSAGE = 50
_LIST_ID = "listing"  # id of the request for our subscriptions
_ANNOUNCEMENTS = "!contractInfo"
_PERPETUALS = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL"})
_DATED = frozenset({"CURRENT_MONTH", "NEXT_MONTH", "CURRENT_QUARTER", "NEXT_QUARTER"})
_HEAD = b'{"stream":"'
_START = len(_HEAD)
_TRADING = frozenset({"TRADING"})
_CLOSED = frozenset({"CLOSE", "DELIVERED", "DELIVERING", "SETTLING"})


class _Binance(Connector):
    """Common part of both markets."""

    # The exchange closes connections after 24 h. This leaves time for a slow reconnect.
    lifetime_s: ClassVar[float] = 23.5 * 3600
    connect_rate: ClassVar[tuple[float, float]] = (60, 300)  # of 300 in 5 min per IP address
    instruments_per_connection: ClassVar[int] = 60  # of 3 streams; an older page states a limit of 200 streams
    snapshots: Literal["stream", "message", "rest"] = "rest"
    name_field: ClassVar[str] = "symbol"
    depth_path: ClassVar[str]
    depth_weights: ClassVar[dict[int, int]]  # by levels per side
    time_path: ClassVar[str]
    status_field: ClassVar[str] = "status"
    info_path: ClassVar[str]
    info_weight: ClassVar[int]

    def subscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        parts = in_parts(routes, _STREAMS_PER_MESSAGE)
        return [self._request("SUBSCRIBE", part, next(ids))._replace(routes=part) for part in parts]

    def unsubscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        return [self._request("UNSUBSCRIBE", routes, next(ids))]

    def _request(self, method: str, routes: Iterable[Route], number: int) -> Request:
        streams = [f"{route.symbol.lower()}@{self.name_of(route.channel)}" for route in routes]
        return Request(str(number), orjson.dumps({"method": method, "params": streams, "id": number}).decode(), ())

    def subscriptions_request(self) -> str:
        # Every request is acknowledged, even for streams that do not exist. Only the list shows what was accepted.
        return orjson.dumps({"method": "LIST_SUBSCRIPTIONS", "id": _LIST_ID}).decode()

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD) and (end := frame.find(b'"', _START, LONGEST_NAME)) > 0:
            return _route_of_stream(frame[_START:end])
        return _route_of_object(frame)

    def interpret_control(self, body: dict[str, Any]) -> Control:
        if "stream" in body or body.get("e") == "serverShutdown":
            return Control("closing", reason="serverShutdown")
        return _control_of_answer(body)

    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        query, info = await self._info(rest, selection)
        for weight in _weight_limits(info.get("rateLimits")):
            rest.set_budget(weight)
        return {query: list(info["symbols"])}

    async def _info(self, rest: Rest, selection: Selection) -> tuple[str, Any]:
        return "all", orjson.loads(await rest.get(self.info_path, self.info_weight))

    def symbol_of(self, entry: Any) -> str:
        pair = f"{text(entry, 'baseAsset')}-{text(entry, 'quoteAsset')}"
        parse_symbol(pair)
        return pair

    def definition(self, symbol: str, entry: Any) -> Instrument:
        filters = {item["filterType"]: item for item in entry["filters"]}
        return defined_instrument(
            self.name,
            "binance",
            symbol,
            exchange_symbol=text(entry, "symbol"),
            settle=optional_text(entry, "marginAsset"),
            tick_size=_step(filters["PRICE_FILTER"], "tickSize"),
            lot_size=_step(filters["LOT_SIZE"], "stepSize"),
            status=_status(text(entry, self.status_field)),
            **self.contract_fields(entry),
        )

    def contract_fields(self, entry: Any) -> dict[str, Any]:
        """Return the fields of a definition that only contracts have."""
        return {}

    async def server_time(self, rest: Rest) -> int:
        return int(orjson.loads(await rest.get(self.time_path, 1))["serverTime"]) * 1000

    def seed_levels(self) -> int:
        return min((each for each in self.depth_weights if each >= self.depth), default=max(self.depth_weights))

    async def snapshot(self, rest: Rest, symbol: str) -> bytes:
        levels = self.seed_levels()
        return await rest.get(self.depth_path, self.depth_weights[levels], symbol=symbol, limit=str(levels))


class BinanceSpot(_Binance):
    """Connector for Binance spot."""

    name: ClassVar[str] = "binance-spot"
    ws: ClassVar[str] = "wss://stream.binance.com:9443"
    rest: ClassVar[str] = "https://api.binance.com"
    channels: ClassVar[Mapping[str, ChannelRow]] = {
        "trades": ChannelRow("trade", "/stream"),
        "books": ChannelRow("depth@100ms", "/stream"),
        "quotes": ChannelRow("bookTicker", "/stream"),
    }
    message_rate: ClassVar[tuple[float, float]] = (2, 1)  # of 5 a second, which include pongs and our pings
    weight_per_minute: ClassVar[int] = 6000
    depth_path: ClassVar[str] = "/api/v3/depth"
    depth_weights: ClassVar[dict[int, int]] = {100: 5, 500: 25, 1000: 50, 5000: 250}
    time_path: ClassVar[str] = "/api/v3/time"
    info_path: ClassVar[str] = "/api/v3/exchangeInfo"
    info_weight: ClassVar[int] = 20

    async def _info(self, rest: Rest, selection: Selection) -> tuple[str, Any]:
        # The full listing is about 10 MB. But one unknown name among `symbols` makes the exchange reject the request.
        if len(selection.exact) <= 100 and not selection.patterns:
            listed = orjson.dumps([to_exchange(self.name, symbol) for symbol in selection.exact]).decode()
            try:
                return "named", orjson.loads(await rest.get(self.info_path, self.info_weight, symbols=listed))
            except ExchangeError:
                pass
        # The permissions would be most of the listing.
        return "all", orjson.loads(await rest.get(self.info_path, self.info_weight, showPermissionSets="false"))


class BinanceUsdm(_Binance):
    """Connector for Binance USD-M futures."""

    name: ClassVar[str] = "binance-usdm"
    ws: ClassVar[str] = "wss://fstream.binance.com"
    rest: ClassVar[str] = "https://fapi.binance.com"
    # Trades, depth and BBO are all served here. A stream requested on the wrong path is acknowledged, but stays silent.
    channels: ClassVar[Mapping[str, ChannelRow]] = {
        "trades": ChannelRow("trade", "/public/stream"),
        "books": ChannelRow("depth@100ms", "/public/stream"),
        "quotes": ChannelRow("bookTicker", "/public/stream"),
        "mark_prices": ChannelRow("markPrice@1s", "/market/stream", kinds=("funding",), of=("perp",)),
    }
    announcement_path: ClassVar[str] = "/market/stream"
    announcement_channels: ClassVar[frozenset[str]] = frozenset({_ANNOUNCEMENTS})
    message_rate: ClassVar[tuple[float, float]] = (4, 1)  # of 10 a second
    weight_per_minute: ClassVar[int] = 2400
    depth_path: ClassVar[str] = "/fapi/v1/depth"
    depth_weights: ClassVar[dict[int, int]] = {50: 2, 100: 5, 500: 10, 1000: 20}
    time_path: ClassVar[str] = "/fapi/v1/time"
    info_path: ClassVar[str] = "/fapi/v1/exchangeInfo"
    info_weight: ClassVar[int] = 1

    def announcement_requests(self, selection: Selection) -> list[str]:
        return [orjson.dumps({"method": "SUBSCRIBE", "params": [_ANNOUNCEMENTS], "id": 1}).decode()]

    def symbol_of(self, entry: Any) -> str:
        """Return the symbol of a perpetual or dated contract, by its `contractType`. `SymbolError` for other types."""
        pair, kind = super().symbol_of(entry), text(entry, "contractType")
        if kind in _PERPETUALS:
            return f"{pair}-PERP"
        if kind in _DATED:
            return str(parse_symbol(f"{pair}-{text(entry, 'symbol').rpartition('_')[2]}"))
        raise SymbolError(f"unknown contractType {kind!r}")


class BinanceCoinm(BinanceUsdm):
    """Connector for Binance COIN-M futures: perpetual and dated contracts of 10 or 100 dollars, margined in coins."""

    name: ClassVar[str] = "binance-coinm"
    ws: ClassVar[str] = "wss://dstream.binance.com"
    rest: ClassVar[str] = "https://dapi.binance.com"
    channels: ClassVar[Mapping[str, ChannelRow]] = {
        "trades": ChannelRow("trade", "/stream"),
        "books": ChannelRow("depth@100ms", "/stream"),
        "quotes": ChannelRow("bookTicker", "/stream"),
        "mark_prices": ChannelRow("markPrice@1s", "/stream", kinds=("funding",), of=("perp",)),
    }
    announcement_path: ClassVar[str] = "/stream"
    depth_path: ClassVar[str] = "/dapi/v1/depth"
    time_path: ClassVar[str] = "/dapi/v1/time"
    info_path: ClassVar[str] = "/dapi/v1/exchangeInfo"
    status_field: ClassVar[str] = "contractStatus"

    def contract_fields(self, entry: Any) -> dict[str, Any]:
        return {"contract_size": plain(number(entry, "contractSize")), "inverse": True}


# Our channels by the first word of the stream's name.
_CHANNELS = {
    row.name.partition("@")[0]: channel
    for connector in (BinanceSpot, BinanceUsdm, BinanceCoinm)
    for channel, row in connector.channels.items()
}


@lru_cache(maxsize=65536)
def _route_of_stream(name: bytes) -> Route:
    """Route a stream name: `btcusdt@depth@100ms` → books of BTCUSDT.

    Names may contain non-ASCII letters, also as JSON escapes.
    """
    try:
        decoded = orjson.loads(b'"%s"' % name)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if decoded == "!serverShutdown":
        return CONTROL
    if decoded == _ANNOUNCEMENTS:
        return Route("data", "", "", _ANNOUNCEMENTS)
    symbol, _, stream = decoded.partition("@")
    if not symbol or not stream:
        return UNKNOWN_FRAME
    channel = _CHANNELS.get(stream.partition("@")[0])
    return Route("data", symbol.upper(), channel) if channel else Route("data", symbol.upper(), "", stream)


def _route_of_name(stream: str) -> Route:
    return _route_of_stream(stream.encode()) if len(stream) <= LONGEST_NAME else UNKNOWN_FRAME


def _route_of_object(frame: bytes) -> Route:
    """Route any other frame: of a raw stream, without the combined wrapper; a REST snapshot; a control frame."""
    body = json_object(frame) or {}
    if type(stream := body.get("stream")) is str:
        return _route_of_name(stream)
    event = body.get("e")
    if type(symbol := body.get("s")) is str:
        return data_route(symbol, str(event), _EVENTS) if event else Route("data", symbol, "quotes")
    if "lastUpdateId" in body:
        return Route("data", "", "snapshot")
    if event == "serverShutdown" or (event is None and ("result" in body or "code" in body or "error" in body)):
        return CONTROL
    return UNKNOWN_FRAME


def _control_of_answer(body: dict[str, Any]) -> Control:
    request_id = str(body.get("id", ""))
    error = body["error"] if type(body.get("error")) is dict else body
    if "code" in error:
        return Control("rejected", request_id, reason=f"{error['code']}: {error.get('msg', '')}")
    if request_id == _LIST_ID and type(body.get("result")) is list:
        return Control("subscriptions", request_id, tuple(_route_of_name(str(name)) for name in body["result"]))
    if "result" in body and body["result"] is None:
        return Control("acknowledged", request_id)
    return Control("unknown", request_id)


def _weight_limits(limits: Any) -> Iterator[float]:
    """Yield the request weight per minute of each limit that can be read."""
    for limit in limits if type(limits) is list else ():
        if type(limit) is dict and (limit.get("rateLimitType"), limit.get("interval")) == ("REQUEST_WEIGHT", "MINUTE"):
            most, minutes = limit.get("limit"), limit.get("intervalNum")
            if type(most) is int and type(minutes) is int and 0 < minutes <= most < 10**9:
                yield most / minutes


def _step(rule: Any, field: str) -> str:
    """Return a filter's step; empty for zero, which means that there is no such rule."""
    value = text(rule, field)
    return "" if float(value) == 0 else plain(number(rule, field))


def _status(status: str) -> Literal["trading", "halted", "closed"]:
    if status in _TRADING:
        return "trading"
    return "closed" if status in _CLOSED else "halted"
