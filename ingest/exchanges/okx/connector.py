"""Connector for OKX v5, public channels (docs/protocols/okx.md §3)."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec
import orjson
from msgspec import Raw, Struct

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
from ingest.exchanges.history import History
from ingest.exchanges.listing import number, optional_text, plain, text
from ingest.exchanges.okx.channels import CHANNELS, NAMES, PUBLIC, argument_of, subject_of
from ingest.exchanges.okx.history import HISTORY, is_error
from ingest.exchanges.okx.polls import BEST_LEVELS, POLLS
from ingest.exchanges.polls import PollRow
from ingest.rest import Limit, Rest
from schemas.errors import ExchangeError
from schemas.feeds import from_exchange
from schemas.instruments import Instrument, defined_instrument
from schemas.json_object import json_object
from schemas.symbols import Selection, is_pattern, parse_symbol

_HEAD = b'{"arg":'
_START = len(_HEAD)
_UPGRADE = "64008"


class _Rows(Struct):
    arg: Raw
    data: list[Raw]


class _Row(Struct):
    instId: str


_decode_rows, _decode_row = msgspec.json.Decoder(_Rows).decode, msgspec.json.Decoder(_Row).decode


def _name_in(row: Raw) -> str:
    """Return the instrument that a row names; empty if it names none."""
    try:
        return _decode_row(row).instId
    except msgspec.ValidationError:
        return ""


class Okx(Connector):
    """Connector for OKX: spot, swaps, futures and options."""

    name: ClassVar[str] = "okx"
    name_field: ClassVar[str] = "instId"
    # Those of the entities of the EEA and the USA reject what they do not list. Their REST hosts (eea.okx.com,
    # us.okx.com) are not here: their shorter listings would make instruments seem delisted.
    ws: ClassVar[tuple[str, ...]] = ("wss://ws.okx.com:8443", "wss://wseea.okx.com:8443", "wss://wsus.okx.com:8443")
    rest: ClassVar[tuple[str, ...]] = ("https://www.okx.com", "https://openapi.okx.com")
    channels: ClassVar[Mapping[str, ChannelRow]] = CHANNELS
    polls: ClassVar[Mapping[str, PollRow]] = POLLS
    best_levels: ClassVar[PollRow] = BEST_LEVELS
    history: ClassVar[History] = HISTORY
    announcement_path: ClassVar[str] = PUBLIC
    announcement_channels: ClassVar[frozenset[str]] = frozenset({"instruments"})
    snapshots: Literal["stream", "message", "rest"] = "stream"
    compression: ClassVar[Literal["deflate"] | None] = "deflate"
    connect_rate: ClassVar[tuple[float, float]] = (1, 1)  # of 3 a second per IP address
    # Of 480 per hour and connection. A bucket of half the limit that refills by as much per hour never exceeds it.
    message_rate: ClassVar[tuple[float, float]] = (240, 3600)
    instruments_per_connection: ClassVar[int] = 25  # keeps below 30 book channels
    rest_limits: ClassVar[Mapping[str, Limit]] = {
        "/api/v5/": Limit(10, 2, ("path",)),  # the least of most endpoints
        "/api/v5/market/books": Limit(40, 2),
        "/api/v5/market/history-": Limit(20, 2, ("path",)),
        "/api/v5/public/instruments": Limit(20, 2, ("instType",)),
        "/api/v5/public/funding-rate": Limit(10, 2, ("path", "instId")),
        "/api/v5/public/mark-price": Limit(10, 2, ("path", "instId")),
        "/api/v5/public/open-interest": Limit(20, 2, ("instId",)),
        "/api/v5/public/market-data-history": Limit(2, 5),
        "/api/v5/rubik/stat/": Limit(5, 2, ("path", "instId")),
    }
    # OKX closes a connection over which it has sent nothing for 30 s. A `ping` before that makes it send a `pong`.
    ping: ClassVar[str] = "ping"
    ping_after_s: ClassVar[float] = 20.0

    def subscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        # One message per subject: an error names only the request's id.
        by_symbol: dict[str, list[Route]] = {}
        for route in routes:
            by_symbol.setdefault(route.symbol, []).append(route)
        return [self._request("subscribe", part, next(ids))._replace(routes=tuple(part)) for part in by_symbol.values()]

    def unsubscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        return [self._request("unsubscribe", routes, next(ids))]

    def _request(self, op: str, routes: Iterable[Route], number: int) -> Request:
        arguments = [argument_of(route.channel, self.name_of(route.channel), route.symbol) for route in routes]
        return Request(str(number), orjson.dumps({"id": str(number), "op": op, "args": arguments}).decode(), ())

    def announcement_requests(self, selection: Selection) -> list[str]:
        kinds = dict.fromkeys(query["instType"] for query in _queries(selection))
        arguments = [{"channel": "instruments", "instType": kind} for kind in kinds]
        return [orjson.dumps({"id": "news", "op": "subscribe", "args": arguments}).decode()]

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD) and (end := frame.find(b"}", _START, LONGEST_NAME)) > 0:
            return _route_of_argument(frame[_START : end + 1])
        return _route_of_object(frame)

    def split(self, frame: bytes) -> Iterator[tuple[str, bytes]]:
        message, rows = _decode_rows(frame), dict[str, list[bytes]]()
        for row in message.data:
            rows.setdefault(_name_in(row), []).append(bytes(row))
        for name, own in rows.items():
            yield name, b'{"arg":%b,"data":[%b]}' % (bytes(message.arg), b",".join(own))

    def parse_control(self, frame: bytes) -> Control:
        return Control("routine") if frame == b"pong" else super().parse_control(frame)

    def interpret_control(self, body: dict[str, Any]) -> Control:
        event, request_id = body["event"], str(body.get("id", ""))
        if event == "subscribe":
            return Control("acknowledged", request_id, (_route_of_channel(body.get("arg", {})),))
        if event == "unsubscribe":
            return Control("routine", request_id)
        if event == "error":
            return Control("rejected", request_id, reason=f"{body.get('code')}: {body.get('msg', '')}")
        if event == "notice" and body.get("code") == _UPGRADE:
            return Control("closing", request_id, reason=f"{_UPGRADE}: {body.get('msg', '')}")
        return Control("routine" if event == "channel-conn-count" else "unknown", request_id)

    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        found = {}
        for query in _queries(selection):
            found[" ".join(query.values())] = await self._fetch_rows(rest, query)
        return found

    def symbol_of(self, entry: Any) -> str:
        return from_exchange(self.name, text(entry, "instId"))

    def definition(self, symbol: str, entry: Any) -> Instrument:
        kind = parse_symbol(symbol).kind
        contract = optional_text(entry, "ctType")
        if kind in ("perp", "future") and contract not in ("linear", "inverse"):
            raise ValueError(f"ctType is {contract!r}")
        return defined_instrument(
            self.name,
            "okx",
            symbol,
            exchange_symbol=text(entry, "instId"),
            settle=optional_text(entry, "settleCcy"),
            tick_size=plain(number(entry, "tickSz")),
            lot_size=plain(number(entry, "lotSz")),
            # Unknown before an instrument opens (`preopen`): it is skipped until then.
            contract_size="1" if kind == "spot" else plain(number(entry, "ctVal") * number(entry, "ctMult")),
            # Not by `-USD-` in the name: there are USD-quoted linear swaps.
            inverse=contract == "inverse",
            status=_status(text(entry, "state")),
        )

    def is_error(self, body: bytes) -> bool:
        return is_error(json_object(body))

    async def server_time(self, rest: Rest) -> int:
        return int(orjson.loads(await rest.get("/api/v5/public/time", 1))["data"][0]["ts"]) * 1000

    async def _fetch_rows(self, rest: Rest, query: dict[str, str]) -> list[Any]:
        body = orjson.loads(await rest.get("/api/v5/public/instruments", 1, **query))
        if body["code"] == "51001" or body["code"] == "51015":  # the option family does not exist
            return []
        if body["code"] != "0":  # errors come with HTTP 200 too
            raise ExchangeError(f"okx rejected {query}: {body['code']} {body.get('msg', '')}")
        return list(body["data"])


def _queries(selection: Selection) -> list[dict[str, str]]:
    """Return the listing's queries: all of a kind at once, options by the families that the selection names."""
    families = {
        "-".join(parts[:2])
        for parts in (name.split("-") for name in (*selection.exact, *selection.patterns))
        if len(parts) == 5 and not any(map(is_pattern, parts[:2]))
    }
    plain: list[dict[str, str]] = [{"instType": kind} for kind in ("SPOT", "SWAP", "FUTURES")]
    return plain + [{"instType": "OPTION", "instFamily": family} for family in sorted(families)]


@lru_cache(maxsize=65536)
def _route_of_argument(argument: bytes) -> Route:
    """Route an `arg`: `{"channel":"books","instId":"BTC-USDT"}` → books of BTC-USDT."""
    try:
        return _route_of_channel(orjson.loads(argument))  # an `arg` with objects in it was cut off too early: not JSON
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME


def _route_of_channel(argument: Any) -> Route:
    channel = argument.get("channel") if type(argument) is dict else None
    if type(channel) is not str or len(channel) > LONGEST_NAME:
        return UNKNOWN_FRAME
    return data_route(subject_of(argument), channel, NAMES)


def _route_of_object(frame: bytes) -> Route:
    if frame == b"pong":
        return CONTROL
    body = json_object(frame) or {}
    return CONTROL if type(body.get("event")) is str else _route_of_channel(body.get("arg"))


def _status(state: str) -> Literal["trading", "halted", "closed"]:
    if state in ("live", "post_only"):
        return "trading"
    return "closed" if state == "expired" else "halted"
