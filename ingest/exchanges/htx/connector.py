"""What the connectors of HTX spot and linear swaps have in common."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import msgspec
import orjson

from ingest.exchanges.base import LONGEST_NAME, Connector, Control, Request, Route
from ingest.exchanges.htx.history import is_error
from ingest.exchanges.htx.routes import control_of_operation, route_of_name, route_of_object, route_of_topic
from ingest.rest import Rest
from schemas.errors import ExchangeError
from schemas.json_object import json_object

_MAX_SIZE = 32 << 20  # bytes of a frame, decompressed
_GZIP = 31  # zlib's `wbits` for gzip members
_HEAD = b'{"ch":"'
_START = len(_HEAD)
_decode_exact = msgspec.json.Decoder(float_hook=str).decode


class HtxConnector(Connector):
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

    def subscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        return [self._request("sub", route, next(ids))._replace(routes=(route,)) for route in routes]

    def unsubscribe(self, routes: Iterable[Route], ids: Iterator[int]) -> list[Request]:
        return [self._request("unsub", route, next(ids)) for route in routes]

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD) and (end := frame.find(b'"', _START, LONGEST_NAME)) > 0:
            return route_of_topic(frame[_START:end])
        return route_of_object(frame)

    def interpret_control(self, body: dict[str, Any]) -> Control:
        if type(ping := body.get("ping")) in (int, str):
            return Control("routine", reply=orjson.dumps({"pong": ping}).decode())
        if "op" in body:
            return control_of_operation(body)
        request_id = str(body.get("id", ""))
        if body.get("status") == "error":
            return Control("rejected", request_id, reason=f"{body.get('err-code')}: {body.get('err-msg', '')}")
        if "subbed" in body:
            return Control("acknowledged", request_id, (route_of_name(str(body["subbed"])),))
        return Control("routine" if "unsubbed" in body else "unknown", request_id)

    def is_error(self, body: bytes) -> bool:
        return is_error(json_object(body))

    async def server_time(self, rest: Rest) -> int:
        body = orjson.loads(await rest.get(self.time_path))
        return int(body["data"] if "data" in body else body["ts"]) * 1000

    def name_of(self, channel: str) -> str:
        return super().name_of(channel).format(levels=self.book_levels())

    def book_levels(self) -> int:
        """Return the levels per side of the incremental book."""
        raise NotImplementedError

    def _request(self, verb: str, route: Route, number: int) -> Request:
        message = {verb: f"market.{route.symbol}.{self.name_of(route.channel)}", "id": str(number)}
        return Request(str(number), orjson.dumps(message).decode(), ())


async def fetch_rows(rest: Rest, path: str, **query: str) -> list[Any]:
    """Fetch the rows of a REST answer; `ExchangeError` with the exchange's message if it is an error."""
    body = _decode_exact(await rest.get(path, 1, **query))
    if is_error(body):
        reason = body.get("err-msg") or body.get("err_msg") or body
        raise ExchangeError(f"{path} rejected: {reason!s:.200}")
    return list(body["data"])
