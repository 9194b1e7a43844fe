"""What the connectors of all of Binance's markets have in common (docs/protocols/binance.md §1, §2)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import orjson

from ingest.exchanges.base import LONGEST_NAME, Connector, Control, Request, Route, in_parts
from ingest.exchanges.binance.channels import stream_of
from ingest.exchanges.binance.routes import HEAD, START, route_of_name, route_of_object, route_of_stream
from ingest.exchanges.listing import number, optional_text, plain, text
from ingest.rest import Meaning, Rest
from schemas.instruments import Instrument, defined_instrument
from schemas.symbols import Selection, parse_symbol

_STREAMS_PER_MESSAGE = 50
_LIST_ID = "listing"  # id of the request for our subscriptions
_TRADING = frozenset({"TRADING"})
_CLOSED = frozenset({"CLOSE", "DELIVERED", "DELIVERING", "SETTLING"})


class BinanceConnector(Connector):
    """Common part of all markets."""

    # The exchange closes connections after 24 h. This leaves time for a slow reconnect.
    lifetime_s: ClassVar[float] = 23.5 * 3600
    connect_rate: ClassVar[tuple[float, float]] = (60, 300)  # of 300 in 5 min per IP address
    instruments_per_connection: ClassVar[int] = 60
    subscriptions_per_connection: ClassVar[float] = 180  # of 1024; an older page of the futures states 200
    snapshots: Literal["stream", "message", "rest"] = "rest"
    name_field: ClassVar[str] = "symbol"
    rest_headers: ClassVar[Mapping[str, Meaning]] = {"X-MBX-USED-WEIGHT-1M": "used"}
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
        streams = [stream_of(route.symbol, self.name_of(route.channel)) for route in routes]
        return Request(str(number), orjson.dumps({"method": method, "params": streams, "id": number}).decode(), ())

    def subscriptions_request(self) -> str:
        # Every request is acknowledged, even for streams that do not exist. Only the list shows what was accepted.
        return orjson.dumps({"method": "LIST_SUBSCRIPTIONS", "id": _LIST_ID}).decode()

    def route(self, frame: bytes) -> Route:
        if frame.startswith(HEAD) and (end := frame.find(b'"', START, LONGEST_NAME)) > 0:
            return route_of_stream(frame[START:end])
        return route_of_object(frame)

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


def _control_of_answer(body: dict[str, Any]) -> Control:
    request_id = str(body.get("id", ""))
    error = body["error"] if type(body.get("error")) is dict else body
    if "code" in error:
        return Control("rejected", request_id, reason=f"{error['code']}: {error.get('msg', '')}")
    if request_id == _LIST_ID and type(body.get("result")) is list:
        return Control("subscriptions", request_id, tuple(route_of_name(str(name)) for name in body["result"]))
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
