"""HTX spot and linear swaps (PROTOCOLS §4, §5): gzip frames, JSON pings, one topic a request."""

import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec
import orjson

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Control, ExchangeFeed, Request, Route
from ingest.rest import Rest
from schemas.errors import ExchangeError, SymbolError
from schemas.exchange_names import from_exchange
from schemas.feeds import CHANNELS
from schemas.instruments import Instrument, Status, assumed_instrument
from schemas.symbols import Selection

_MOST = 32 << 20  # bytes of a frame, decompressed
_GZIP = 31  # zlib's word for gzip members
_HEAD = b'{"ch":"'
_TOPICS = {"trades": "trade.detail", "quotes": "bbo"}
_CHANNELS = {"trade.detail": "trades", "bbo": "quotes"}
_EXACT = msgspec.json.Decoder(float_hook=str).decode


class _Htx(ExchangeFeed):
    silence: ClassVar[float] = 15.0  # three pings
    time_path: ClassVar[str]

    def decode(self, frame: bytes) -> bytes:
        unpacker = zlib.decompressobj(_GZIP)
        try:
            text = unpacker.decompress(frame, _MOST)
        except zlib.error:
            return frame
        return text if unpacker.eof else frame

    def subscribe(self, symbols: Iterable[str], channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        wanted = tuple(channels)
        return [self._ask("sub", symbol, channel, next(ids)) for symbol in symbols for channel in wanted]

    def resubscribe(self, symbol: str, channel: str, ids: Iterator[int]) -> list[Request]:
        forget = self._ask("unsub", symbol, channel, next(ids))._replace(routes=())
        return [forget, self._ask("sub", symbol, channel, next(ids))]

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD):
            return _of_topic(frame[len(_HEAD) : frame.find(b'"', len(_HEAD))])
        return _of_object(frame)

    def control(self, frame: bytes) -> Control:
        body = orjson.loads(frame)
        if "ping" in body:
            return Control("heard", answer=orjson.dumps({"pong": body["ping"]}).decode())
        if "op" in body:
            return _of_operation(body)
        number = str(body.get("id", ""))
        if body.get("status") == "error":
            return Control("refused", number, reason=f"{body.get('err-code')}: {body.get('err-msg', '')}")
        if "subbed" in body:
            return Control("acknowledged", number, (_of_topic(str(body["subbed"]).encode()),))
        return Control("heard" if "unsubbed" in body else "unknown", number)

    async def server_time(self, rest: Rest) -> int:
        body = orjson.loads(await rest.get(self.time_path))
        return int(body["data"] if "data" in body else body["ts"]) * 1000

    def _ask(self, verb: str, symbol: str, channel: str, number: int) -> Request:
        topic = f"market.{symbol}.{_TOPICS.get(channel) or self._book_topic()}"
        more = self._book_options() if channel == "books" else {}
        text = orjson.dumps({verb: topic, "id": str(number), **more}).decode()
        return Request(str(number), text, (_of_topic(topic.encode()),))

    def _book_topic(self) -> str:
        raise NotImplementedError

    def _book_options(self) -> dict[str, str]:
        return {}


class HtxSpot(_Htx):
    name: ClassVar[str] = "htx-spot"
    ws: ClassVar[str] = "wss://api.huobi.pro"
    rest: ClassVar[str] = "https://api.huobi.pro"
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/feed": ("books",), "/ws": ("trades", "quotes")}
    snapshots: ClassVar[Literal["stream", "message", "rest"]] = "message"
    connects: ClassVar[tuple[float, float]] = (5, 1)  # no limit is published
    messages: ClassVar[tuple[float, float]] = (8, 1)  # of which some are `req`: one each 100 ms
    instruments_per_connection: ClassVar[int] = 50
    weight_per_minute: ClassVar[int] = 800  # requests: 4000 in 5 min for the tightest
    time_path: ClassVar[str] = "/v1/common/timestamp"

    def snapshot_request(self, symbol: str, ids: Iterator[int]) -> Request:
        number = str(next(ids))
        text = orjson.dumps({"req": f"market.{symbol}.{self._book_topic()}", "id": number}).decode()
        return Request(number, text, ())

    def _book_topic(self) -> str:
        # There is a 20 as well, for some thirty symbols only.
        return f"mbp.{next((levels for levels in (5, 150) if levels >= self.depth), 400)}"

    async def instruments(self, rest: Rest, selection: Selection) -> dict[str, Instrument]:
        rows = await _listed(rest, "/v1/settings/common/market-symbols")
        named = ((f"{row['bc']}-{row['qc']}".upper(), row) for row in rows)
        return {symbol: _spot_instrument(symbol, row) for symbol, row in named if symbol in selection}


class HtxLinear(_Htx):
    name: ClassVar[str] = "htx-linear"
    ws: ClassVar[str] = "wss://api.hbdm.com"
    rest: ClassVar[str] = "https://api.hbdm.com"
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/linear-swap-ws": CHANNELS}
    snapshots: ClassVar[Literal["stream", "message", "rest"]] = "stream"
    connects: ClassVar[tuple[float, float]] = (5, 1)
    messages: ClassVar[tuple[float, float]] = (20, 1)  # of 40 subscriptions a second
    instruments_per_connection: ClassVar[int] = 50  # 150 book streams on one socket ran clean
    weight_per_minute: ClassVar[int] = 4800  # requests: 240 in 3 s
    time_path: ClassVar[str] = "/api/v1/timestamp"

    def _book_topic(self) -> str:
        return f"depth.size_{20 if self.depth <= 20 else 150}.high_freq"

    def _book_options(self) -> dict[str, str]:
        return {"data_type": "incremental"}  # else whole books come on the same topic

    async def instruments(self, rest: Rest, selection: Selection) -> dict[str, Instrument]:
        found = {}
        for row in await _listed(rest, "/linear-swap-api/v1/swap_contract_info", business_type="all"):
            try:
                symbol = from_exchange(self.name, row["contract_code"])
            except SymbolError:
                continue  # a listing without a canonical name
            if symbol in selection:
                found[symbol] = _linear_instrument(symbol, row)
        return found


async def _listed(rest: Rest, path: str, **query: str) -> list[Any]:
    body = _EXACT(await rest.get(path, 1, **query))
    if body.get("status") != "ok":  # errors come with HTTP 200 as well
        reason = body.get("err-msg") or body.get("err_msg") or body
        raise ExchangeError(f"{path} refused: {reason!s:.200}")
    return list(body["data"])


@lru_cache(maxsize=65536)
def _of_topic(topic: bytes) -> Route:
    """`market.btcusdt.mbp.150` → data of btcusdt, books. Swaps come in upper case however they were asked for."""
    try:
        market, symbol, channel = topic.decode().split(".", 2)
    except ValueError:
        return UNKNOWN_FRAME
    if market != "market" or not symbol or not channel:
        return UNKNOWN_FRAME
    return Route("data", symbol, _channel(channel))


def _channel(words: str) -> str:
    incremental = words.startswith("mbp.") and words[4:].isdigit()
    return "books" if incremental or words.startswith("depth.size_") else _CHANNELS.get(words, words)


def _of_object(frame: bytes) -> Route:
    try:
        body = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if type(body) is not dict:
        return UNKNOWN_FRAME
    if type(topic := body.get("ch")) is str:
        return _of_topic(topic.encode())
    if type(topic := body.get("rep")) is str:
        return _of_topic(topic.encode())._replace(channel="snapshot")
    if body.get("op") == "notify":
        return Route("data", "", str(body.get("topic", "")))
    known = "ping" in body or "subbed" in body or "unsubbed" in body or "op" in body
    return CONTROL if known or body.get("status") == "error" else UNKNOWN_FRAME


def _of_operation(body: dict[str, Any]) -> Control:
    """The other dialect, of the notification socket."""
    operation = body["op"]
    if operation == "ping":
        return Control("heard", answer=orjson.dumps({"op": "pong", "ts": body.get("ts")}).decode())
    if operation == "close":
        return Control("closing", reason="the exchange announces a close")
    return Control("refused" if operation == "error" else "unknown", str(body.get("cid", "")), reason=str(body)[:200])


def _spot_instrument(symbol: str, row: Any) -> Instrument:
    return assumed_instrument("htx-spot", "htx", symbol).model_copy(
        update={
            "exchange_symbol": row["symbol"],
            "tick_size": _unit(row["pp"]),
            "lot_size": _unit(row["ap"]),
            "status": _SPOT_STATES.get(row["state"], "halted"),
        }
    )


def _linear_instrument(symbol: str, row: Any) -> Instrument:
    return assumed_instrument("htx-linear", "htx", symbol).model_copy(
        update={
            "exchange_symbol": row["contract_code"],
            "settle": row.get("trade_partition", ""),
            "tick_size": _plain(row["price_tick"]),
            "lot_size": "1",
            "contract_size": _plain(row["contract_size"]),
            "status": _LINEAR_STATES.get(row["contract_status"], "halted"),
        }
    )


# Of what is not here, some comes back: suspension, the stages of settlement and delivery.
_SPOT_STATES: dict[str, Status] = {"online": "trading", "offline": "closed", "not-online": "closed"}
_LINEAR_STATES: dict[int, Status] = {0: "closed", 1: "trading"}


def _unit(decimals: int) -> str:
    """2 → `0.01`."""
    return f"{Decimal(1).scaleb(-decimals):f}"


def _plain(number: str | int) -> str:
    return f"{Decimal(number).normalize():f}"
