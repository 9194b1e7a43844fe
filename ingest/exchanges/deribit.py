"""Deribit v2, public channels over JSON-RPC (PROTOCOLS §6)."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Literal

import orjson

from ingest.exchanges.base import CONTROL, UNKNOWN_FRAME, Control, ExchangeFeed, Request, Route
from ingest.rest import Rest
from schemas.errors import SymbolError
from schemas.exchange_names import from_exchange
from schemas.feeds import CHANNELS
from schemas.instruments import Instrument, assumed_instrument
from schemas.symbols import Selection

# The interval `raw` is for those with an account.
_SUBSCRIPTIONS = {"trades": "trades.{}.100ms", "books": "book.{}.100ms", "quotes": "quote.{}"}
_CHANNELS = {"trades": "trades", "book": "books", "quote": "quotes"}
_PLATFORM = "platform_state"
_OF_INSTRUMENTS = frozenset({*_CHANNELS, "ticker", "incremental_ticker", "perpetual"})
_CHANNELS_PER_CALL = 500
_HEARTBEAT = 30  # s
_HEAD = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
_UNAWAITED = 0  # the id of requests whose answer says nothing
_CURRENCIES = frozenset({"BTC", "ETH", "USDC", "USDT", "EURR"})  # that may be asked for one by one
_API = "/api/v2/public/"


class Deribit(ExchangeFeed):
    name: ClassVar[str] = "deribit"
    ws: ClassVar[str] = "wss://www.deribit.com"
    rest: ClassVar[str] = "https://www.deribit.com"
    paths: ClassVar[dict[str, tuple[str, ...]]] = {"/ws/api/v2": CHANNELS}
    snapshots: ClassVar[Literal["stream", "message", "rest"]] = "stream"
    compression: ClassVar[Literal["deflate"] | None] = "deflate"
    connects: ClassVar[tuple[float, float]] = (1, 1)
    messages: ClassVar[tuple[float, float]] = (2, 1)  # of 3.3 subscribe calls a second; one too many ends the session
    instruments_per_connection: ClassVar[int] = 150  # 3 channels each: one subscribe call
    weight_per_minute: ClassVar[int] = 1200  # in units of 500 credits, of which 10,000 a second come back
    silence: ClassVar[float] = _HEARTBEAT + 5.0

    def subscribe(self, symbols: Iterable[str], channels: Iterable[str], ids: Iterator[int]) -> list[Request]:
        # The book comes in full whatever the depth: the grouped books of few levels have no chain of updates.
        wanted = [_SUBSCRIPTIONS[channel] for channel in channels]
        names = [name.format(symbol) for symbol in symbols for name in wanted]
        most = _CHANNELS_PER_CALL - 1
        parts = [[_PLATFORM, *names[start : start + most]] for start in range(0, len(names), most)]
        heartbeat = Request(str(_UNAWAITED), _call("set_heartbeat", _UNAWAITED, interval=_HEARTBEAT), ())
        return [heartbeat, *(_subscribe(part, next(ids)) for part in parts)]

    def resubscribe(self, symbol: str, channel: str, ids: Iterator[int]) -> list[Request]:
        # Subscribing alone is acknowledged, and brings no snapshot while the channel is active.
        name = [_SUBSCRIPTIONS[channel].format(symbol)]
        forget = Request(str(_UNAWAITED), _call("unsubscribe", _UNAWAITED, channels=name), ())
        return [forget, _subscribe(name, next(ids))]

    def route(self, frame: bytes) -> Route:
        if frame.startswith(_HEAD):
            return _of_channel(frame[len(_HEAD) : frame.find(b'"', len(_HEAD))])
        return _of_object(frame)

    def control(self, frame: bytes) -> Control:
        try:
            body = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return Control("unknown", reason="no JSON")
        if body.get("method") == "subscription":
            return _platform(body["params"].get("data"))
        if body.get("method") == "heartbeat":
            return _heartbeat(body.get("params"))
        number = str(body.get("id", ""))
        if type(error := body.get("error")) is dict:
            return Control("refused", number, reason=f"{error.get('code')}: {error.get('message', '')}")
        return _answer(number, body.get("result"))

    async def instruments(self, rest: Rest, selection: Selection) -> dict[str, Instrument]:
        found = {}
        for query in _queries(selection):
            body = orjson.loads(await rest.get(_API + "get_instruments", 20, expired="false", **query))
            for entry in body["result"]:
                try:
                    # Metadata name the coin as the quote of an inverse option; the name has one meaning.
                    symbol = from_exchange(self.name, entry["instrument_name"])
                except SymbolError:
                    continue  # a combination of instruments
                if symbol in selection:
                    found[symbol] = _instrument(symbol, entry)
        return found

    async def server_time(self, rest: Rest) -> int:
        return int(orjson.loads(await rest.get(_API + "get_time", 1))["result"]) * 1000


def _call(method: str, number: int, **params: Any) -> str:
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "method": f"public/{method}", "params": params}).decode()


_ALIVE = _call("test", _UNAWAITED)


def _subscribe(names: list[str], number: int) -> Request:
    routes = (_of_channel(name.encode()) for name in names)
    text = _call("subscribe", number, channels=names)
    return Request(str(number), text, tuple(route for route in routes if route.kind == "data"))


@lru_cache(maxsize=65536)
def _of_channel(name: bytes) -> Route:
    """`book.BTC-PERPETUAL.100ms` → data of BTC-PERPETUAL, books."""
    try:
        kind, *rest = name.decode().split(".")
    except UnicodeDecodeError:
        return UNKNOWN_FRAME
    if kind == _PLATFORM:
        return CONTROL
    if kind not in _OF_INSTRUMENTS or not rest or (kind == "trades" and len(rest) == 3):  # of a kind and currency
        return Route("data", "", name.decode()) if kind else UNKNOWN_FRAME
    channel = _CHANNELS.get(kind, kind)
    return Route("data", rest[0], "grouped books" if kind == "book" and len(rest) == 4 else channel)


def _of_object(frame: bytes) -> Route:
    try:
        body = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return UNKNOWN_FRAME
    if type(body) is not dict:
        return UNKNOWN_FRAME
    method, params = body.get("method"), body.get("params")
    if method == "subscription":
        channel = params.get("channel") if type(params) is dict else None
        return _of_channel(channel.encode()) if type(channel) is str else UNKNOWN_FRAME
    if method == "heartbeat" or (method is None and ("result" in body or "error" in body)):
        return CONTROL
    return UNKNOWN_FRAME


def _platform(state: Any) -> Control:
    """`{"maintenance": true}`, or that an index is locked; the ends of both as well."""
    if type(state) is not dict:
        return Control("unknown")
    if state.get("maintenance"):
        return Control("closing", reason="maintenance")
    if state.get("locked"):
        return Control("notice", reason=f"locked: {state.get('price_index', 'everything')}")
    return Control("heard")


def _heartbeat(params: Any) -> Control:
    asked = type(params) is dict and params.get("type") == "test_request"
    return Control("heard", answer=_ALIVE if asked else "")


def _answer(number: str, result: Any) -> Control:
    if number == str(_UNAWAITED) or type(result) is not list:
        return Control("heard", number)
    routes = tuple(route for route in map(_of_channel, (str(name).encode() for name in result)) if route.kind == "data")
    # Channels that it does not know are left out without a word.
    reason = "not among the channels that the exchange acknowledged"
    return Control("acknowledged", number, routes, reason) if routes else Control("refused", number, reason=reason)


def _queries(selection: Selection) -> list[dict[str, str]]:
    """What to ask for: all of a kind at once; options, of which there are thousands, only where some are named."""
    currencies = set()
    for parts in (text.split("-") for text in (*selection.exact, *selection.patterns)):
        if len(parts) == 5:
            currency = parts[0] if parts[1] == "USD" else parts[1]
            currencies.add(currency if currency in _CURRENCIES else "any")
    options = ["any"] if "any" in currencies else sorted(currencies)
    plain = [{"currency": "any", "kind": kind} for kind in ("future", "spot")]
    return plain + [{"currency": currency, "kind": "option"} for currency in options]


def _instrument(symbol: str, entry: Any) -> Instrument:
    assumed = assumed_instrument("deribit", "deribit", symbol)
    reversed_ = entry["instrument_type"] == "reversed"
    return assumed.model_copy(
        update={
            "exchange_symbol": entry["instrument_name"],
            "settle": entry.get("settlement_currency", ""),
            "tick_size": _plain(entry["tick_size"]),
            "lot_size": _plain(entry["min_trade_amount"]),
            # Amounts are US dollars or coins already, never contracts: `contract_size` only counts those. And those
            # of options are coins also where the contract is "reversed".
            "inverse": reversed_ and assumed.kind in ("perp", "future"),
            "status": _status(entry),
        }
    )


def _plain(number: float) -> str:
    """`1e-05` → `0.00001`."""
    return f"{Decimal(str(number)).normalize():f}"


def _status(entry: Any) -> Literal["trading", "halted", "closed"]:
    state = entry.get("state", "open" if entry["is_active"] else "inactive")
    if state == "open":
        return "trading"
    return "closed" if state in ("delivered", "inactive", "archivized") else "halted"
