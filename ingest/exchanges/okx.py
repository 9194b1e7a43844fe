"""OKX v5, public channels (docs/protocols/okx.md §3)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, ClassVar, Literal

import orjson

from ingest.exchanges.base import CONTROL, LONGEST_NAME, UNKNOWN_FRAME, Connector, Control, Request, Route
from ingest.exchanges.listing import number, optional_text, plain, text
from ingest.rest import Rest
from schemas.channels import CHANNELS
from schemas.errors import ExchangeError
from schemas.feeds import from_exchange
from schemas.instruments import Instrument, defined_instrument
from schemas.symbols import Selection, is_pattern, parse_symbol

_ARGUMENTS = {"trades": "trades", "books": "books", "quotes": "bbo-tbt"}
_CHANNELS = {
    "trades": "trades",
    "books": "books",
    "books-l2-tbt": "books",
    "books50-l2-tbt": "books",
    "bbo-tbt": "quotes",
}
_HEAD = b'{"arg":'
_START = len(_HEAD)
_UPGRADE = "64008"


class Okx(Connector):
    name: ClassVar[str] = "okx"
    name_field: ClassVar[str] = "instId"
    ws: ClassVar[str] = "wss://ws.okx.com:8443"
    rest: ClassVar[str] = "https://www.okx.com"
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/ws/v5/public": tuple(CHANNELS)}
    news_path: ClassVar[str] = "/ws/v5/public"
    news_channels: ClassVar[frozenset[str]] = frozenset({"instruments"})
    snapshots: ClassVar[Literal["stream", "message", "rest"]] = "stream"
    compression: ClassVar[Literal["deflate"] | None] = "deflate"
    connects: ClassVar[tuple[float, float]] = (1, 1)  # of 3 a second per address
    # 480 an hour and connection: a bucket of half of it, which refills by as much in an hour, never exceeds it.
    messages: ClassVar[tuple[float, float]] = (240, 3600)
    instruments_per_connection: ClassVar[int] = 25  # fewer than 30 book channels
    weight_per_minute: ClassVar[int] = 300  # instruments: 20 in 2 s
    # OKX cuts after 30 s in which it had nothing to send; a `ping` before that makes it send.
    ping: ClassVar[str] = "ping"
    ping_after: ClassVar[float] = 20.0

    def subscribe(self, symbols: Iterable[str], channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        # One message per instrument: an error names only the request's id.
        names = [_ARGUMENTS[channel] for channel in channels]
        return [_request("subscribe", symbol, names, next(ids)) for symbol in symbols]

    def news_requests(self, selection: Selection) -> list[str]:
        kinds = dict.fromkeys(query["instType"] for query in _queries(selection))
        arguments = [{"channel": "instruments", "instType": kind} for kind in kinds]
        return [orjson.dumps({"id": "news", "op": "subscribe", "args": arguments}).decode()]

    def unsubscribe(self, symbol: str, channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        return [_request("unsubscribe", symbol, [_ARGUMENTS[channel] for channel in channels], next(ids))]

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD) and (end := frame.find(b"}", _START, LONGEST_NAME)) > 0:
            return _of_argument(frame[_START : end + 1])
        return _of_object(frame)

    def control(self, frame: bytes) -> Control:
        return Control("heard") if frame == b"pong" else super().control(frame)

    def understood(self, body: dict[str, Any]) -> Control:
        event, asked = body["event"], str(body.get("id", ""))
        if event == "subscribe":
            return Control("acknowledged", asked, (_of_channel(body.get("arg", {})),))
        if event == "unsubscribe":
            return Control("heard", asked)
        if event == "error":
            return Control("refused", asked, reason=f"{body.get('code')}: {body.get('msg', '')}")
        if event == "notice" and body.get("code") == _UPGRADE:
            return Control("closing", asked, reason=f"{_UPGRADE}: {body.get('msg', '')}")
        return Control("heard" if event == "channel-conn-count" else "unknown", asked)

    async def entries(self, rest: Rest, selection: Selection) -> dict[str, list[Any]]:
        found = {}
        for query in _queries(selection):
            found[" ".join(query.values())] = await self._listed(rest, query)
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
            # Unknown while an instrument is prepared (`preopen`), and then it is not used.
            contract_size="1" if kind == "spot" else plain(number(entry, "ctVal") * number(entry, "ctMult")),
            # Never by the text `-USD-`: there are USD-quoted linear swaps.
            inverse=contract == "inverse",
            status=_status(text(entry, "state")),
        )

    async def server_time(self, rest: Rest) -> int:
        return int(orjson.loads(await rest.get("/api/v5/public/time", 1))["data"][0]["ts"]) * 1000

    async def _listed(self, rest: Rest, query: dict[str, str]) -> list[Any]:
        body = orjson.loads(await rest.get("/api/v5/public/instruments", 1, **query))
        if body["code"] == "51001" or body["code"] == "51015":  # an option family that does not exist
            return []
        if body["code"] != "0":  # errors come with HTTP 200 as well
            raise ExchangeError(f"okx refused {query}: {body['code']} {body.get('msg', '')}")
        return list(body["data"])


def _request(op: str, symbol: str, channels: Iterable[str], count: int) -> Request:
    arguments = [{"channel": channel, "instId": symbol} for channel in channels]
    message = orjson.dumps({"id": str(count), "op": op, "args": arguments}).decode()
    routes = tuple(_of_channel(argument) for argument in arguments) if op == "subscribe" else ()
    return Request(str(count), message, routes)


def _queries(selection: Selection) -> list[dict[str, str]]:
    """What to ask for: all of a kind at once; options only by family, of those that the selection names."""
    families = {
        "-".join(parts[:2])
        for parts in (name.split("-") for name in (*selection.exact, *selection.patterns))
        if len(parts) == 5 and not any(map(is_pattern, parts[:2]))
    }
    plain: list[dict[str, str]] = [{"instType": kind} for kind in ("SPOT", "SWAP", "FUTURES")]
    return plain + [{"instType": "OPTION", "instFamily": family} for family in sorted(families)]


@lru_cache(maxsize=65536)
def _of_argument(argument: bytes) -> Route:
    """`{"channel":"books","instId":"BTC-USDT"}` → data of BTC-USDT, books."""
    try:
        return _of_channel(orjson.loads(argument))  # an `arg` with objects in it is cut in two, and is none
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME


def _of_channel(argument: Any) -> Route:
    channel = argument.get("channel") if type(argument) is dict else None
    if type(channel) is not str or len(channel) > LONGEST_NAME:
        return UNKNOWN_FRAME
    name = argument.get("instId")
    return Route("data", name if type(name) is str else "", _CHANNELS.get(channel, channel))


def _of_object(frame: bytes) -> Route:
    if frame == b"pong":
        return CONTROL
    try:
        body = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if type(body) is not dict:
        return UNKNOWN_FRAME
    return CONTROL if type(body.get("event")) is str else _of_channel(body.get("arg"))


def _status(state: str) -> Literal["trading", "halted", "closed"]:
    if state in ("live", "post_only"):
        return "trading"
    return "closed" if state == "expired" else "halted"
