"""Connector for Deribit v2, public channels over JSON-RPC (docs/protocols/deribit.md §6)."""

from collections.abc import Iterable, Iterator, Mapping
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
    in_parts,
)
from ingest.exchanges.deribit.channels import CHANNELS, PATH, PLATFORM, WITHOUT, route_of_channel, route_of_name
from ingest.exchanges.deribit.history import HISTORY
from ingest.exchanges.deribit.polls import BEST_LEVELS, POLLS
from ingest.exchanges.history import History
from ingest.exchanges.listing import number, optional_text, plain, text
from ingest.exchanges.polls import PollRow
from ingest.rest import Rest
from schemas.feeds import from_exchange
from schemas.instruments import Instrument, defined_instrument
from schemas.json_object import json_object
from schemas.symbols import Selection, parse_symbol

_STATES = "instrument.state.{}.any"
_CHANNELS_PER_CALL = 500
_HEARTBEAT = 30  # s
_HEAD = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
_START = len(_HEAD)
_UNAWAITED = 0  # id of requests whose answer is not needed
_CURRENCIES = frozenset({"BTC", "ETH", "USDC", "USDT", "EURR"})  # that may be queried one by one
_API = "/api/v2/public/"


class Deribit(Connector):
    """Connector for Deribit: perpetuals, futures, spot and options."""

    name: ClassVar[str] = "deribit"
    name_field: ClassVar[str] = "instrument_name"
    # streams.deribit.com is not documented, and drb.coinbase.com not for REST.
    ws: ClassVar[tuple[str, ...]] = ("wss://www.deribit.com",)
    rest: ClassVar[tuple[str, ...]] = ("https://www.deribit.com",)
    channels: ClassVar[Mapping[str, ChannelRow]] = CHANNELS
    polls: ClassVar[Mapping[str, PollRow]] = POLLS
    best_levels: ClassVar[PollRow] = BEST_LEVELS
    history: ClassVar[History] = HISTORY
    without: ClassVar[Mapping[str, str]] = WITHOUT
    announcement_path: ClassVar[str] = PATH
    announcement_channels: ClassVar[frozenset[str]] = frozenset(map(_STATES.format, ("future", "spot", "option")))
    snapshots: Literal["stream", "message", "rest"] = "stream"
    compression: ClassVar[Literal["deflate"] | None] = "deflate"
    connect_rate: ClassVar[tuple[float, float]] = (1, 1)
    # Of 3.3 subscribe calls a second. One too many closes the connection.
    message_rate: ClassVar[tuple[float, float]] = (2, 1)
    instruments_per_connection: ClassVar[int] = 150  # of 4 channels: two subscribe calls
    weight_per_minute: ClassVar[int] = 1200  # in units of 500 credits, of which 10,000 a second are refilled
    connection_timeout_s: ClassVar[float] = _HEARTBEAT + 5.0

    def subscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        # The full book, whatever the depth: the books of few levels, which are variants, have no chained updates.
        heartbeat = Request(str(_UNAWAITED), _call("set_heartbeat", _UNAWAITED, interval=_HEARTBEAT), ())
        parts = in_parts(routes, _CHANNELS_PER_CALL - 1)
        return [heartbeat, *(self._subscribe([PLATFORM, *self._names(part)], part, next(ids)) for part in parts)]

    def _subscribe(self, names: list[str], routes: tuple[Route, ...], number: int) -> Request:
        return Request(str(number), _call("subscribe", number, channels=names), routes)

    def _names(self, routes: Iterable[Route]) -> list[str]:
        return [self.name_of(route.channel).format(route.symbol) for route in routes]

    def announcement_requests(self, selection: Selection) -> list[str]:
        kinds = dict.fromkeys(query["kind"] for query in _queries(selection))
        names = [_STATES.format(kind) for kind in kinds]
        return [_call("set_heartbeat", _UNAWAITED, interval=_HEARTBEAT), _call("subscribe", 1, channels=names)]

    def unsubscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        return [Request(str(_UNAWAITED), _call("unsubscribe", _UNAWAITED, channels=self._names(routes)), ())]

    def resubscribe(self, route: Route, ids: Iterator[int]) -> list[Request]:
        # Without unsubscribing, an active channel is acknowledged again but sends no snapshot.
        return [*self.unsubscribe([route], ids), self._subscribe(self._names([route]), (route,), next(ids))]

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD) and (end := frame.find(b'"', _START, LONGEST_NAME)) > 0:
            return route_of_channel(frame[_START:end])
        return _route_of_object(frame)

    def interpret_control(self, body: dict[str, Any]) -> Control:
        if body.get("method") == "subscription":
            return _control_of_platform(body["params"].get("data"))
        if body.get("method") == "heartbeat":
            return _control_of_heartbeat(body.get("params"))
        request_id = str(body.get("id", ""))
        if type(error := body.get("error")) is dict:
            return Control("rejected", request_id, reason=f"{error.get('code')}: {error.get('message', '')}")
        return _control_of_answer(request_id, body.get("result"))

    async def fetch_entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        found = {}
        for query in _queries(selection):
            body = orjson.loads(await rest.get(_API + "get_instruments", 20, expired="false", **query))
            found[" ".join(query.values())] = list(body["result"])
        return found

    def symbol_of(self, entry: Any) -> str:
        # The metadata give the coin as quote of an inverse option; only the name is unambiguous.
        return from_exchange(self.name, text(entry, "instrument_name"))

    def definition(self, symbol: str, entry: Any) -> Instrument:
        form = text(entry, "instrument_type")
        if form not in ("linear", "reversed"):
            raise ValueError(f"instrument_type is {form!r}")
        return defined_instrument(
            self.name,
            "deribit",
            symbol,
            exchange_symbol=text(entry, "instrument_name"),
            settle=optional_text(entry, "settlement_currency"),
            tick_size=plain(number(entry, "tick_size")),
            lot_size=plain(number(entry, "min_trade_amount")),
            # Amounts are US dollars or coins, never contracts, so `contract_size` does not apply. Amounts of options
            # are coins even if the contract is "reversed".
            inverse=form == "reversed" and parse_symbol(symbol).kind in ("perp", "future"),
            status=_status(entry),
        )

    async def server_time(self, rest: Rest) -> int:
        return int(orjson.loads(await rest.get(_API + "get_time", 1))["result"]) * 1000


def _call(method: str, count: int, **params: Any) -> str:
    return orjson.dumps({"jsonrpc": "2.0", "id": count, "method": f"public/{method}", "params": params}).decode()


_ALIVE = _call("test", _UNAWAITED)


def _route_of_object(frame: bytes) -> Route:
    body = json_object(frame) or {}
    method, params = body.get("method"), body.get("params")
    if method == "subscription":
        channel = params.get("channel") if type(params) is dict else None
        return route_of_name(channel) if type(channel) is str else UNKNOWN_FRAME
    if method == "heartbeat" or (method is None and ("result" in body or "error" in body)):
        return CONTROL
    return UNKNOWN_FRAME


def _control_of_platform(state: Any) -> Control:
    """Interpret `platform_state`: maintenance or a locked index, and the end of either."""
    if type(state) is not dict:
        return Control("unknown")
    if state.get("maintenance"):
        return Control("closing", reason="maintenance")
    if state.get("locked"):
        return Control("notice", reason=f"locked: {state.get('price_index', 'everything')}")
    return Control("routine")


def _control_of_heartbeat(params: Any) -> Control:
    reply_wanted = type(params) is dict and params.get("type") == "test_request"
    return Control("routine", reply=_ALIVE if reply_wanted else "")


def _control_of_answer(request_id: str, result: Any) -> Control:
    if request_id == str(_UNAWAITED) or type(result) is not list:
        return Control("routine", request_id)
    routes = tuple(route for route in map(route_of_name, map(str, result)) if route.kind == "data")
    # Unknown channels are silently left out of the answer.
    reason = "missing from the exchange's acknowledgement"
    if not routes:
        return Control("rejected", request_id, reason=reason)
    return Control("acknowledged", request_id, routes, reason)


def _queries(selection: Selection) -> list[dict[str, str]]:
    """Return the listing's queries: all of a kind at once. Options, of which there are thousands, only if selected."""
    currencies = set()
    for parts in (name.split("-") for name in (*selection.exact, *selection.patterns)):
        if len(parts) == 5:
            currency = parts[0] if parts[1] == "USD" else parts[1]
            currencies.add(currency if currency in _CURRENCIES else "any")
    options = ["any"] if "any" in currencies else sorted(currencies)
    plain = [{"currency": "any", "kind": kind} for kind in ("future", "spot")]
    return plain + [{"currency": currency, "kind": "option"} for currency in options]


def _status(entry: Any) -> Literal["trading", "halted", "closed"]:
    state = text(entry, "state") if "state" in entry else ("open" if entry["is_active"] is True else "inactive")
    if state == "open":
        return "trading"
    return "closed" if state in ("delivered", "inactive", "archivized") else "halted"
