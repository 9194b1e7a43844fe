"""Connectors for HTX spot and linear swaps (docs/protocols/htx.md §4, §5).

Gzip frames, JSON pings, one topic per request.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec
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
)
from ingest.exchanges.listing import number, optional_text, plain, text, unit
from ingest.rest import Rest
from schemas.errors import ExchangeError
from schemas.feeds import from_exchange
from schemas.instruments import Instrument, Status, defined_instrument
from schemas.json_object import json_object
from schemas.symbols import Selection, parse_symbol

_MAX_SIZE = 32 << 20  # bytes of a frame, decompressed
_GZIP = 31  # zlib's `wbits` for gzip members
_NOTIFICATIONS = "/linear-swap-notification"
_HEAD = b'{"ch":"'
_START = len(_HEAD)
_decode_exact = msgspec.json.Decoder(float_hook=str).decode


class _Htx(Connector):
    """Common part of both markets."""

    # Swaps are announced on the notification socket, at another address. Refreshing the definitions suffices instead.
    connection_timeout_s: ClassVar[float] = 15.0  # three pings
    time_path: ClassVar[str]
    book_options: ClassVar[dict[str, str]] = {}

    def decode(self, frame: bytes) -> bytes:
        unpacker = zlib.decompressobj(_GZIP)
        try:
            text = unpacker.decompress(frame, _MAX_SIZE)
        except zlib.error:
            return frame
        return text if unpacker.eof else frame

    def subscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        return [self._request("sub", route, next(ids))._replace(routes=(route,)) for route in routes]

    def unsubscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        return [self._request("unsub", route, next(ids)) for route in routes]

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD) and (end := frame.find(b'"', _START, LONGEST_NAME)) > 0:
            return _route_of_topic(frame[_START:end])
        return _route_of_object(frame)

    def interpret_control(self, body: dict[str, Any]) -> Control:
        if type(ping := body.get("ping")) in (int, str):
            return Control("routine", reply=orjson.dumps({"pong": ping}).decode())
        if "op" in body:
            return _control_of_operation(body)
        request_id = str(body.get("id", ""))
        if body.get("status") == "error":
            return Control("rejected", request_id, reason=f"{body.get('err-code')}: {body.get('err-msg', '')}")
        if "subbed" in body:
            return Control("acknowledged", request_id, (_route_of_name(str(body["subbed"])),))
        return Control("routine" if "unsubbed" in body else "unknown", request_id)

    async def server_time(self, rest: Rest) -> int:
        body = orjson.loads(await rest.get(self.time_path))
        return int(body["data"] if "data" in body else body["ts"]) * 1000

    def name_of(self, channel: str) -> str:
        return super().name_of(channel).format(levels=self.book_levels())

    def book_levels(self) -> int:
        """Return the levels per side of the book channel."""
        raise NotImplementedError

    def _request(self, verb: str, route: Route, number: int) -> Request:
        message = {verb: f"market.{route.symbol}.{self.name_of(route.channel)}", "id": str(number)}
        if route.channel == "books":
            message |= self.book_options
        return Request(str(number), orjson.dumps(message).decode(), ())


class HtxSpot(_Htx):
    """Connector for HTX spot."""

    name: ClassVar[str] = "htx-spot"
    name_field: ClassVar[str] = "symbol"
    ws: ClassVar[str] = "wss://api.huobi.pro"
    rest: ClassVar[str] = "https://api.huobi.pro"
    channels: ClassVar[Mapping[str, ChannelRow]] = {
        "trades": ChannelRow("trade.detail", "/ws"),
        "books": ChannelRow("mbp.{levels}", "/feed"),
        "quotes": ChannelRow("bbo", "/ws"),
    }
    snapshots: Literal["stream", "message", "rest"] = "message"
    connect_rate: ClassVar[tuple[float, float]] = (5, 1)  # no limit is published
    message_rate: ClassVar[tuple[float, float]] = (8, 1)  # some of them `req`, of which one per 100 ms is allowed
    instruments_per_connection: ClassVar[int] = 50
    weight_per_minute: ClassVar[int] = 800  # requests: the tightest limit is 4000 in 5 min
    time_path: ClassVar[str] = "/v1/common/timestamp"

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        request_id = str(next(ids))
        message = orjson.dumps({"req": f"market.{symbol}.{self.name_of('books')}", "id": request_id}).decode()
        return Request(request_id, message, ())

    def book_levels(self) -> int:
        # The exchange also has 20, but only for about thirty symbols.
        return next((levels for levels in (5, 150) if levels >= self.depth), 400)

    def seed_levels(self) -> int:
        return self.book_levels()

    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        return {"all": await _fetch_rows(rest, "/v1/settings/common/market-symbols")}

    def symbol_of(self, entry: Any) -> str:
        return str(parse_symbol(f"{text(entry, 'bc')}-{text(entry, 'qc')}".upper()))

    def definition(self, symbol: str, entry: Any) -> Instrument:
        return defined_instrument(
            self.name,
            "htx",
            symbol,
            exchange_symbol=text(entry, "symbol"),
            tick_size=unit(entry, "pp"),
            lot_size=unit(entry, "ap"),
            status=_SPOT_STATES.get(text(entry, "state"), "halted"),
        )


class HtxLinear(_Htx):
    """Connector for HTX linear swaps and futures."""

    name: ClassVar[str] = "htx-linear"
    name_field: ClassVar[str] = "contract_code"
    ws: ClassVar[str] = "wss://api.hbdm.com"
    rest: ClassVar[str] = "https://api.hbdm.com"
    channels: ClassVar[Mapping[str, ChannelRow]] = {
        "trades": ChannelRow("trade.detail", "/linear-swap-ws"),
        "books": ChannelRow("depth.size_{levels}.high_freq", "/linear-swap-ws"),
        "quotes": ChannelRow("bbo", "/linear-swap-ws"),
        "funding": ChannelRow("funding_rate", _NOTIFICATIONS, of=("perp",)),
    }
    book_options: ClassVar[dict[str, str]] = {"data_type": "incremental"}  # else the topic delivers whole books
    snapshots: Literal["stream", "message", "rest"] = "stream"
    connect_rate: ClassVar[tuple[float, float]] = (5, 1)
    message_rate: ClassVar[tuple[float, float]] = (20, 1)  # of 40 subscriptions a second
    instruments_per_connection: ClassVar[int] = 50  # 150 book streams on one socket worked without gaps
    weight_per_minute: ClassVar[int] = 4800  # requests: 240 in 3 s
    time_path: ClassVar[str] = "/api/v1/timestamp"

    def book_levels(self) -> int:
        return 20 if self.depth <= 20 else 150

    def _request(self, verb: str, route: Route, number: int) -> Request:
        if self.channels[route.channel].path != _NOTIFICATIONS:
            return super()._request(verb, route, number)
        topic = f"public.{route.symbol}.{self.name_of(route.channel)}"
        return Request(str(number), orjson.dumps({"op": verb, "cid": str(number), "topic": topic}).decode(), ())

    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        path = "/linear-swap-api/v1/swap_contract_info"
        return {"all": await _fetch_rows(rest, path, business_type="all")}

    def symbol_of(self, entry: Any) -> str:
        return from_exchange(self.name, text(entry, "contract_code"))

    def definition(self, symbol: str, entry: Any) -> Instrument:
        status = entry["contract_status"]
        if type(status) is not int:
            raise ValueError(f"contract_status is {status!r}")
        return defined_instrument(
            self.name,
            "htx",
            symbol,
            exchange_symbol=text(entry, "contract_code"),
            settle=optional_text(entry, "trade_partition"),
            tick_size=plain(number(entry, "price_tick")),
            lot_size="1",
            contract_size=plain(number(entry, "contract_size")),
            status=_LINEAR_STATES.get(status, "halted"),
        )


# Our channels by their names here, but for books, whose names have a number of levels.
_CHANNELS = {row.name: channel for connector in (HtxSpot, HtxLinear) for channel, row in connector.channels.items()}


async def _fetch_rows(rest: Rest, path: str, **query: str) -> list[Any]:
    body = _decode_exact(await rest.get(path, 1, **query))
    if body.get("status") != "ok":  # errors come with HTTP 200 too
        reason = body.get("err-msg") or body.get("err_msg") or body
        raise ExchangeError(f"{path} rejected: {reason!s:.200}")
    return list(body["data"])


@lru_cache(maxsize=65536)
def _route_of_topic(topic: bytes) -> Route:
    """Route a topic: `market.btcusdt.mbp.150` → books of btcusdt.

    Swaps come in upper case, however they were requested.
    """
    try:
        market, symbol, channel = topic.decode().split(".", 2)
    except ValueError:
        return UNKNOWN_FRAME
    if market not in ("market", "public") or not symbol or not channel:
        return UNKNOWN_FRAME
    is_book = (channel.startswith("mbp.") and channel[4:].isdigit()) or channel.startswith("depth.size_")
    return Route("data", symbol, "books") if is_book else data_route(symbol, channel, _CHANNELS)


def _route_of_name(topic: str) -> Route:
    return _route_of_topic(topic.encode()) if len(topic) <= LONGEST_NAME else UNKNOWN_FRAME


def _route_of_object(frame: bytes) -> Route:
    body = json_object(frame) or {}
    if type(topic := body.get("ch")) is str:
        return _route_of_name(topic)
    if type(topic := body.get("rep")) is str:
        found = _route_of_name(topic)
        return Route("data", found.symbol, "snapshot") if found.kind == "data" else found
    if body.get("op") == "notify":
        return _route_of_name(str(body.get("topic", "")))
    known = "ping" in body or "subbed" in body or "unsubbed" in body or "op" in body
    return CONTROL if known or body.get("status") == "error" else UNKNOWN_FRAME


def _control_of_operation(body: dict[str, Any]) -> Control:
    """Interpret a control frame of the notification socket, which has another format."""
    operation = body["op"]
    if operation == "ping":
        stamp = body.get("ts")
        reply = orjson.dumps({"op": "pong", "ts": stamp}).decode() if type(stamp) in (int, str) else ""
        return Control("routine", reply=reply)
    if operation == "sub" and body.get("err-code") == 0:
        return Control("acknowledged", str(body.get("cid", "")), (_route_of_name(str(body.get("topic", ""))),))
    if operation == "unsub":
        return Control("routine")
    if operation == "close":
        return Control("closing", reason="the exchange announces a close")
    rejected = operation in ("sub", "error")
    return Control("rejected" if rejected else "unknown", str(body.get("cid", "")), reason=str(body)[:200])


# All other states are halts that may end: suspension, the stages of settlement and delivery.
_SPOT_STATES: dict[str, Status] = {"online": "trading", "offline": "closed", "not-online": "closed"}
_LINEAR_STATES: dict[int, Status] = {0: "closed", 1: "trading"}
