"""Connectors for HTX spot and linear swaps (docs/protocols/htx.md §4, §5).

Gzip frames, JSON pings, one topic per request.
"""

import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec
import orjson

from ingest.exchanges.base import CONTROL, LONGEST_NAME, UNKNOWN_FRAME, Connector, Control, Request, Route
from ingest.exchanges.listing import number, optional_text, plain, text, unit
from ingest.rest import Rest
from schemas.channels import CHANNELS
from schemas.errors import ExchangeError
from schemas.feeds import from_exchange
from schemas.instruments import Instrument, Status, defined_instrument
from schemas.symbols import Selection, parse_symbol

_MAX_SIZE = 32 << 20  # bytes of a frame, decompressed
_GZIP = 31  # zlib's `wbits` for gzip members
_HEAD = b'{"ch":"'
_START = len(_HEAD)
_TOPICS = {"trades": "trade.detail", "quotes": "bbo"}
_CHANNELS = {"trade.detail": "trades", "bbo": "quotes"}
_decode_exact = msgspec.json.Decoder(float_hook=str).decode


class _Htx(Connector):
    """Common part of both markets."""

    # Swaps are announced on the notification socket, at another address. Refreshing the definitions suffices instead.
    connection_timeout_s: ClassVar[float] = 15.0  # three pings
    time_path: ClassVar[str]

    def decode(self, frame: bytes) -> bytes:
        unpacker = zlib.decompressobj(_GZIP)
        try:
            text = unpacker.decompress(frame, _MAX_SIZE)
        except zlib.error:
            return frame
        return text if unpacker.eof else frame

    def subscribe(self, symbols: Iterable[str], channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        wanted = tuple(channels)
        return [self._request("sub", symbol, channel, next(ids)) for symbol in symbols for channel in wanted]

    def unsubscribe(self, symbol: str, channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        return [self._request("unsub", symbol, channel, next(ids))._replace(routes=()) for channel in channels]

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

    def _request(self, verb: str, symbol: str, channel: str, count: int) -> Request:
        topic = f"market.{symbol}.{_TOPICS.get(channel) or self._book_topic()}"
        more = self._book_options() if channel == "books" else {}
        message = orjson.dumps({verb: topic, "id": str(count), **more}).decode()
        return Request(str(count), message, (_route_of_topic(topic.encode()),))

    def _book_topic(self) -> str:
        raise NotImplementedError

    def _book_options(self) -> dict[str, str]:
        return {}


class HtxSpot(_Htx):
    """Connector for HTX spot."""

    name: ClassVar[str] = "htx-spot"
    name_field: ClassVar[str] = "symbol"
    ws: ClassVar[str] = "wss://api.huobi.pro"
    rest: ClassVar[str] = "https://api.huobi.pro"
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/feed": ("books",), "/ws": ("trades", "quotes")}
    snapshots: ClassVar[Literal["stream", "message", "rest"]] = "message"
    connect_rate: ClassVar[tuple[float, float]] = (5, 1)  # no limit is published
    message_rate: ClassVar[tuple[float, float]] = (8, 1)  # some of them `req`, of which one per 100 ms is allowed
    instruments_per_connection: ClassVar[int] = 50
    weight_per_minute: ClassVar[int] = 800  # requests: the tightest limit is 4000 in 5 min
    time_path: ClassVar[str] = "/v1/common/timestamp"

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        request_id = str(next(ids))
        message = orjson.dumps({"req": f"market.{symbol}.{self._book_topic()}", "id": request_id}).decode()
        return Request(request_id, message, ())

    def seed_levels(self) -> int:
        # The exchange also has 20, but only for about thirty symbols.
        return next((levels for levels in (5, 150) if levels >= self.depth), 400)

    def _book_topic(self) -> str:
        return f"mbp.{self.seed_levels()}"

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
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/linear-swap-ws": tuple(CHANNELS)}
    snapshots: ClassVar[Literal["stream", "message", "rest"]] = "stream"
    connect_rate: ClassVar[tuple[float, float]] = (5, 1)
    message_rate: ClassVar[tuple[float, float]] = (20, 1)  # of 40 subscriptions a second
    instruments_per_connection: ClassVar[int] = 50  # 150 book streams on one socket worked without gaps
    weight_per_minute: ClassVar[int] = 4800  # requests: 240 in 3 s
    time_path: ClassVar[str] = "/api/v1/timestamp"

    def _book_topic(self) -> str:
        return f"depth.size_{20 if self.depth <= 20 else 150}.high_freq"

    def _book_options(self) -> dict[str, str]:
        return {"data_type": "incremental"}  # otherwise whole books come on the same topic

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
    if market != "market" or not symbol or not channel:
        return UNKNOWN_FRAME
    return Route("data", symbol, _channel_of(channel))


def _route_of_name(topic: str) -> Route:
    return _route_of_topic(topic.encode()) if len(topic) <= LONGEST_NAME else UNKNOWN_FRAME


def _channel_of(name: str) -> str:
    incremental = name.startswith("mbp.") and name[4:].isdigit()
    return "books" if incremental or name.startswith("depth.size_") else _CHANNELS.get(name, name)


def _route_of_object(frame: bytes) -> Route:
    try:
        body = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if type(body) is not dict:
        return UNKNOWN_FRAME
    if type(topic := body.get("ch")) is str:
        return _route_of_name(topic)
    if type(topic := body.get("rep")) is str:
        found = _route_of_name(topic)
        return found._replace(channel="snapshot") if found.kind == "data" else found
    if body.get("op") == "notify":
        return Route("data", "", str(body.get("topic", ""))[:LONGEST_NAME])
    known = "ping" in body or "subbed" in body or "unsubbed" in body or "op" in body
    return CONTROL if known or body.get("status") == "error" else UNKNOWN_FRAME


def _control_of_operation(body: dict[str, Any]) -> Control:
    """Interpret a control frame of the notification socket, which has another format."""
    operation = body["op"]
    if operation == "ping":
        stamp = body.get("ts")
        reply = orjson.dumps({"op": "pong", "ts": stamp}).decode() if type(stamp) in (int, str) else ""
        return Control("routine", reply=reply)
    if operation == "close":
        return Control("closing", reason="the exchange announces a close")
    return Control("rejected" if operation == "error" else "unknown", str(body.get("cid", "")), reason=str(body)[:200])


# All other states are halts that may end: suspension, the stages of settlement and delivery.
_SPOT_STATES: dict[str, Status] = {"online": "trading", "offline": "closed", "not-online": "closed"}
_LINEAR_STATES: dict[int, Status] = {0: "closed", 1: "trading"}
