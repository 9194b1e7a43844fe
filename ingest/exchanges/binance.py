"""Binance spot and USD-M futures (PROTOCOLS §1, §2)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, ClassVar, Literal

import orjson

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Control, ExchangeFeed, Request, Route
from ingest.rest import Rest
from schemas.errors import ExchangeError
from schemas.exchange_names import to_exchange
from schemas.feeds import CHANNELS
from schemas.instruments import Instrument, assumed_instrument
from schemas.symbols import Selection

_STREAMS = {"trades": "trade", "books": "depth@100ms", "quotes": "bookTicker"}
_CHANNELS = {"trade": "trades", "bookTicker": "quotes", "depth": "books"}
_EVENTS = {"trade": "trades", "bookTicker": "quotes", "depthUpdate": "books"}
_STREAMS_PER_MESSAGE = 50
_LISTING = "listing"
_HEAD = b'{"stream":"'
_TRADING = frozenset({"TRADING"})
_CLOSED = frozenset({"CLOSE", "DELIVERED", "DELIVERING", "SETTLING"})


class _Binance(ExchangeFeed):
    # 24 h is the exchange's cut. Most do not sit on it to the second: leave some time for a slow reconnect.
    lifetime: ClassVar[float] = 23.5 * 3600
    connects: ClassVar[tuple[float, float]] = (60, 300)  # of 300 in 5 min per address
    instruments_per_connection: ClassVar[int] = 60  # 3 streams each: the older page's limit is 200 streams
    snapshots: ClassVar[Literal["stream", "message", "rest"]] = "rest"
    depth_path: ClassVar[str]
    depth_weights: ClassVar[dict[int, int]]  # by levels a side
    time_path: ClassVar[str]
    info_path: ClassVar[str]
    info_weight: ClassVar[int]

    def subscribe(self, symbols: Iterable[str], channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        wanted = [_STREAMS[channel] for channel in channels]
        streams = [f"{symbol.lower()}@{stream}" for symbol in symbols for stream in wanted]
        parts = [
            streams[start : start + _STREAMS_PER_MESSAGE] for start in range(0, len(streams), _STREAMS_PER_MESSAGE)
        ]
        return [_request("SUBSCRIBE", part, next(ids)) for part in parts]

    def resubscribe(self, symbol: str, channel: str, ids: Iterator[int]) -> list[Request]:
        stream = [f"{symbol.lower()}@{_STREAMS[channel]}"]
        forget = _request("UNSUBSCRIBE", stream, next(ids))._replace(routes=())
        return [forget, _request("SUBSCRIBE", stream, next(ids))]

    def listing_request(self) -> str:
        # Every request is acknowledged, also for streams that do not exist: so ask what was taken.
        return orjson.dumps({"method": "LIST_SUBSCRIPTIONS", "id": _LISTING}).decode()

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD):
            return _of_stream(frame[len(_HEAD) : frame.find(b'"', len(_HEAD))])
        return _of_object(frame)

    def control(self, frame: bytes) -> Control:
        try:
            body = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return Control("unknown", reason="no JSON")
        if "stream" in body or body.get("e") == "serverShutdown":
            return Control("closing", reason="serverShutdown")
        return _answer(body)

    async def instruments(self, rest: Rest, selection: Selection) -> dict[str, Instrument]:
        info = await self._info(rest, selection)
        for limit in info.get("rateLimits", ()):
            if limit["rateLimitType"] == "REQUEST_WEIGHT" and limit["interval"] == "MINUTE":
                rest.allow(limit["limit"] / limit["intervalNum"])
        entries = ((_canonical(entry), entry) for entry in info["symbols"])
        return {symbol: self._instrument(symbol, entry) for symbol, entry in entries if symbol in selection}

    async def _info(self, rest: Rest, selection: Selection) -> Any:
        return orjson.loads(await rest.get(self.info_path, self.info_weight))

    def _instrument(self, symbol: str, entry: Any) -> Instrument:
        filters = {item["filterType"]: item for item in entry["filters"]}
        return assumed_instrument(self.name, "binance", symbol).model_copy(
            update={
                "exchange_symbol": entry["symbol"],
                "settle": entry.get("marginAsset", ""),
                "tick_size": _plain(filters.get("PRICE_FILTER", {}).get("tickSize", "")),
                "lot_size": _plain(filters.get("LOT_SIZE", {}).get("stepSize", "")),
                "status": _status(entry["status"]),
            }
        )

    async def server_time(self, rest: Rest) -> int:
        return int(orjson.loads(await rest.get(self.time_path, 1))["serverTime"]) * 1000

    async def snapshot(self, rest: Rest, symbol: str) -> bytes:
        levels = min((each for each in self.depth_weights if each >= self.depth), default=max(self.depth_weights))
        return await rest.get(self.depth_path, self.depth_weights[levels], symbol=symbol, limit=str(levels))


class BinanceSpot(_Binance):
    name: ClassVar[str] = "binance-spot"
    ws: ClassVar[str] = "wss://stream.binance.com:9443"
    rest: ClassVar[str] = "https://api.binance.com"
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/stream": CHANNELS}
    messages: ClassVar[tuple[float, float]] = (2, 1)  # of 5 a second, of which pongs and our pings count too
    weight_per_minute: ClassVar[int] = 6000
    depth_path: ClassVar[str] = "/api/v3/depth"
    depth_weights: ClassVar[dict[int, int]] = {100: 5, 500: 25, 1000: 50, 5000: 250}
    time_path: ClassVar[str] = "/api/v3/time"
    info_path: ClassVar[str] = "/api/v3/exchangeInfo"
    info_weight: ClassVar[int] = 20

    async def _info(self, rest: Rest, selection: Selection) -> Any:
        # All symbols are some 10 MB. But one unknown name among `symbols` makes it refuse all of them.
        if len(selection.exact) <= 100 and not selection.patterns:
            listed = orjson.dumps([to_exchange(self.name, symbol) for symbol in selection.exact]).decode()
            try:
                return orjson.loads(await rest.get(self.info_path, self.info_weight, symbols=listed))
            except ExchangeError:
                pass
        return await super()._info(rest, selection)


class BinanceUsdm(_Binance):
    name: ClassVar[str] = "binance-usdm"
    ws: ClassVar[str] = "wss://fstream.binance.com"
    rest: ClassVar[str] = "https://fapi.binance.com"
    # Trades, depth and BBO are all served here; a stream asked for on the wrong path is acknowledged and silent.
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/public/stream": CHANNELS}
    messages: ClassVar[tuple[float, float]] = (4, 1)  # of 10 a second
    weight_per_minute: ClassVar[int] = 2400
    depth_path: ClassVar[str] = "/fapi/v1/depth"
    depth_weights: ClassVar[dict[int, int]] = {50: 2, 100: 5, 500: 10, 1000: 20}
    time_path: ClassVar[str] = "/fapi/v1/time"
    info_path: ClassVar[str] = "/fapi/v1/exchangeInfo"
    info_weight: ClassVar[int] = 1


def _request(method: str, streams: list[str], number: int) -> Request:
    text = orjson.dumps({"method": method, "params": streams, "id": number}).decode()
    return Request(str(number), text, tuple(_of_stream(stream.encode()) for stream in streams))


@lru_cache(maxsize=65536)
def _of_stream(name: bytes) -> Route:
    """`btcusdt@depth@100ms` → data of BTCUSDT, books. Names may hold non-ASCII letters, and JSON escapes of them."""
    try:
        text = orjson.loads(b'"%s"' % name)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if text == "!serverShutdown":
        return CONTROL
    symbol, _, stream = text.partition("@")
    if not symbol or not stream:
        return UNKNOWN_FRAME
    channel = _CHANNELS.get(stream.partition("@")[0], stream)
    return Route("data", symbol.upper(), channel)


def _of_object(frame: bytes) -> Route:
    """A frame without the combined wrapper: a raw stream's, a REST snapshot, a control frame."""
    try:
        body = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if type(body) is not dict:
        return UNKNOWN_FRAME
    if type(stream := body.get("stream")) is str:
        return _of_stream(stream.encode())
    event = body.get("e")
    if type(symbol := body.get("s")) is str:
        return Route("data", symbol, _EVENTS.get(str(event), str(event)) if event else "quotes")
    if "lastUpdateId" in body:
        return Route("data", "", "snapshot")
    if event == "serverShutdown" or (event is None and ("result" in body or "code" in body or "error" in body)):
        return CONTROL
    return UNKNOWN_FRAME


def _answer(body: dict[str, Any]) -> Control:
    number = str(body.get("id", ""))
    error = body["error"] if type(body.get("error")) is dict else body
    if "code" in error:
        return Control("refused", number, reason=f"{error['code']}: {error.get('msg', '')}")
    if number == _LISTING and type(body.get("result")) is list:
        return Control("listing", number, tuple(_of_stream(str(name).encode()) for name in body["result"]))
    if "result" in body and body["result"] is None:
        return Control("acknowledged", number)
    return Control("unknown", number)


def _canonical(entry: Any) -> str:
    """The canonical symbol of a listed instrument; perpetuals and dated contracts have a `contractType`."""
    pair, kind = f"{entry['baseAsset']}-{entry['quoteAsset']}", entry.get("contractType", "")
    if kind.endswith("PERPETUAL"):  # TRADIFI_PERPETUAL as well
        return f"{pair}-PERP"
    return f"{pair}-{entry['symbol'].rpartition('_')[2]}" if kind else pair


def _plain(number: str) -> str:
    """`0.01000000` → `0.01`."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _status(status: str) -> Literal["trading", "halted", "closed"]:
    if status in _TRADING:
        return "trading"
    return "closed" if status in _CLOSED else "halted"
