"""OKX v5 (docs/protocols/okx.md §3): text pings, one acknowledgement per argument.

Books bring their own snapshot.
"""

import asyncio
import time
from collections import deque
from functools import partial
from typing import Any, ClassVar

import orjson
from aiohttp import web

from marketprism.simulator.exchanges.okx.control import ControlError, no_such, parsed
from marketprism.simulator.exchanges.okx.frames import books_push, both_sides, full_push, instrument_row, trade_push
from marketprism.simulator.market.book import Levels
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.prices import STEP
from marketprism.simulator.server.connection import Channel, Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer

_CHANNELS: dict[str, Channel] = {
    "trades": "trades",
    "trades-all": "trades",
    "books": "books",
    "books5": "quotes",
    "bbo-tbt": "quotes",
}
_PUBLIC = ("trades", "books", "books5", "bbo-tbt")
_BUSINESS = ("trades-all",)
_NEWS = "instruments"
_KINDS = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")
_PRIVILEGED = ("books-l2-tbt", "books50-l2-tbt")  # VIP4 and above
_OPERATIONS_PER_HOUR = 480
_ARGS_BYTES = 64 * 1024
_BOOKS = round(0.1 / STEP)  # steps between two pushes of books and books5


class _Board:
    """An instrument with its streams, and what each was last sent."""

    def __init__(self, server: "Okx", instrument: SimulatedInstrument, phase: int) -> None:
        listing = instrument.listing
        self.instrument = instrument
        self.phase = phase % _BOOKS
        self.window = instrument.book.window()
        self.streams = {
            name: server.add_stream(f"{name}:{listing.exchange_symbol}", listing, channel)
            for name, channel in _CHANNELS.items()
        }
        self.bbo_sent = 0
        self.five_sent: tuple[Levels, Levels] = ([], [])
        self.sent_at = dict.fromkeys(_PUBLIC, time.monotonic())
        self.seeding: set[Connection] = set()  # subscribed to `books` since the last push: the next is a snapshot


class Okx(ExchangeServer):
    compress = True
    stride, delay, most_levels = 5, 5, 400
    idle_timeout = 30.0
    keep_alive = 60.0
    heartbeat_close = (4004, "No data received in 30s.")
    chained_reset = True
    entry_changes: ClassVar = {
        "closed": {"state": "expired"},
        "halted": {"state": "suspend"},
        "resized": {"ctVal": "1"},
        "unsized": {"ctVal": "", "state": "preopen"},
        "odd": {"tickSz": ""},
    }

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = {
            instrument.listing.exchange_symbol: _Board(self, instrument, 3 * rank)
            for rank, instrument in enumerate(instruments)
        }
        self._requests: dict[str, deque[float]] = {}
        for kind in _KINDS:
            self.streams[f"{_NEWS}:{kind}"] = Stream(f"{_NEWS}:{kind}", "", "quotes")

    # The market: per instrument, the exchange's order of pushes is bbo-tbt, books, books5

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards.values():
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    push = partial(trade_push, board.instrument, trade, self.now_ms())
                    self.publish(board.streams["trades"], partial(push, aggregated=True))
                    self.publish(board.streams["trades-all"], partial(push, aggregated=False))
            if board.instrument.book.top_sequence != board.bbo_sent:
                board.bbo_sent = board.instrument.book.top_sequence
                self._push(board, "bbo-tbt", full_push(board.instrument, "bbo-tbt", 1, self.now_ms()))
            if number % _BOOKS == board.phase:
                self._push_books(board)
                self._push_five(board)
        if number % _BOOKS == 0:
            self._keep_alive()

    def _push(self, board: _Board, channel: str, payload: dict[str, Any]) -> None:
        board.sent_at[channel] = time.monotonic()
        self.publish(board.streams[channel], lambda: payload)

    def _push_books(self, board: _Board) -> None:
        book, window, stream = board.instrument.book, board.window, board.streams["books"]
        seeding = board.seeding & stream.subscribers
        if window.last:
            stream.subscribers -= seeding  # to them this change comes as part of the snapshot
            sides = both_sides(board.instrument, *book.changes(window))
            ids = window.previous, window.last
            self._push(board, "books", books_push(board.instrument, "update", sides, *ids, self.now_ms()))
            stream.subscribers |= seeding
            window.restart()
        if seeding and not self.stalled(stream.symbol):
            sides = both_sides(board.instrument, book.bids.top(len(book.bids)), book.asks.top(len(book.asks)))
            push = books_push(board.instrument, "snapshot", sides, -1, book.sequence, self.now_ms())
            self.send_to(seeding, stream, push)
            board.seeding.clear()

    def _push_five(self, board: _Board) -> None:
        book = board.instrument.book
        five = book.bids.top(5), book.asks.top(5)
        if five != board.five_sent:
            board.five_sent = five
            self._push(board, "books5", full_push(board.instrument, "books5", 5, self.now_ms()))

    def _keep_alive(self) -> None:
        """A book that did not change for a minute says so; full pushes repeat themselves."""
        late = time.monotonic() - (self.limits.keep_alive or self.keep_alive)
        for board in self._boards.values():
            sequence = board.window.previous
            if board.sent_at["books"] < late and not board.window.last:
                nothing = both_sides(board.instrument, [], [])
                push = books_push(board.instrument, "update", nothing, sequence, sequence, self.now_ms())
                self._push(board, "books", push)
            for channel, levels in (("bbo-tbt", 1), ("books5", 5)):
                if board.sent_at[channel] < late:
                    self._push(board, channel, full_push(board.instrument, channel, levels, self.now_ms()))

    # WebSocket

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ws/v5/public", self.serve),
            web.get("/ws/v5/business", self.serve),
            web.get("/api/v5/public/time", self._time),
            web.get("/api/v5/public/instruments", self._instruments),
            web.get("/api/v5/market/books", self._market_books),
        ]

    async def watch(self, connection: Connection) -> None:
        """A connection without a subscription, or over which nothing went, is dropped."""
        patience = self.limits.idle_timeout or self.idle_timeout
        while time.monotonic() - max(connection.last_message_at, connection.sent_at) < patience:
            await asyncio.sleep(min(1.0, patience / 4))
        await connection.close(*self.heartbeat_close)

    async def on_text(self, connection: Connection, text: str) -> None:
        if text == "ping":
            connection.send(b"pong", what="ping")
            return
        if len(text) > _ARGS_BYTES:
            await connection.close(1009, "The request is too large")
            return
        request: Any = None
        try:
            request = parsed(text)
            if request["op"] == "subscribe" and self.too_frequent():
                raise ControlError("60014", "Requests too frequent")
            for arg in request["args"]:
                self._obey(connection, request, arg)
        except ControlError as error:
            self._answer(connection, request, {"event": "error", "code": error.code, "msg": str(error)})

    def _answer(self, connection: Connection, request: Any, body: dict[str, Any]) -> None:
        number = {"id": request["id"]} if isinstance(request, dict) and "id" in request else {}
        connection.answer(number | body | {"connId": connection.id})

    def _obey(self, connection: Connection, request: dict[str, Any], arg: Any) -> None:
        if _over(connection.received, _OPERATIONS_PER_HOUR, 3600.0):
            raise ControlError("60014", "Requests too frequent")
        try:
            name = self._stream_name(connection, arg)
            if request["op"] == "subscribe" and self.refuses(self.streams[name]):
                raise no_such(arg)
        except ControlError as error:  # the other args of the request are not concerned
            self._answer(connection, request, {"event": "error", "code": error.code, "msg": str(error)})
            return
        self._answer(connection, request, {"event": request["op"], "arg": arg})
        if request["op"] == "unsubscribe":
            self.unsubscribe(connection, name)
        else:
            self.subscribe(connection, name, self.streams[name])

    def _stream_name(self, connection: Connection, arg: Any) -> str:
        if not isinstance(arg, dict) or not isinstance(arg.get("channel"), str):
            raise ControlError("60013", f"Invalid args: {orjson.dumps(arg).decode()}")
        channel, instrument = arg["channel"], str(arg.get("instId", ""))
        if channel == _NEWS and arg.get("instType") in _KINDS:
            return f"{_NEWS}:{arg['instType']}"
        if channel in _PRIVILEGED:
            raise ControlError("64003", "Your trading fee tier doesn't meet the requirement to access this channel")
        offered = _BUSINESS if connection.path.endswith("business") else _PUBLIC
        if channel not in offered or instrument not in self._boards:
            raise no_such(arg)
        return f"{channel}:{instrument}"

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:
        channel, _, instrument = stream.name.partition(":")
        if channel == _NEWS:
            return  # no listing comes of its own accord
        board = self._boards[instrument]
        if channel == "books":
            board.seeding.add(connection)
        elif channel in ("bbo-tbt", "books5") and not self.stalled(stream.symbol):
            levels = 1 if channel == "bbo-tbt" else 5
            connection.answer(full_push(board.instrument, channel, levels, self.now_ms()), "snapshot")

    def announce_definition(self, symbol: str) -> None:
        row = self.entry(symbol, instrument_row) | ({"state": "expired"} if self.is_gone(symbol) else {})
        stream = self.streams[f"{_NEWS}:{row['instType']}"]
        push = {"arg": {"channel": _NEWS, "instType": row["instType"]}, "data": [row]}
        self.send_to(stream.subscribers, stream, push)

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        return body

    def announce_shutdown(self, connection: Connection) -> None:
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        self._answer(connection, None, {"event": "notice", "code": "64008", "msg": text})

    # REST

    def _refused(self, name: str, most: int) -> web.Response | None:
        if not _over(self._requests.setdefault(name, deque()), most, 2.0):
            return None
        return self.rate_limited(429, 1)

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        return _json({"code": "50011", "msg": "Too Many Requests", "data": []}, 429)

    async def _time(self, request: web.Request) -> web.Response:
        return self._refused("time", 10) or _json(_data([{"ts": str(now_ms())}]))

    async def _instruments(self, request: web.Request) -> web.Response:
        kind = request.query.get("instType", "")
        if refused := self._refused(f"instruments:{kind}", 20):
            return refused
        if kind not in _KINDS:
            return _json({"code": "51000", "msg": "Parameter instType error", "data": []}, 400)
        name = request.query.get("instId")
        rows = [
            row for row in self.entries(instrument_row) if row["instType"] == kind and name in (None, row["instId"])
        ]
        if name is not None and not rows:
            return _json({"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []})
        return _json(_data(rows))

    async def _market_books(self, request: web.Request) -> web.Response:
        if refused := self._refused("books", 40):
            return refused
        board = self._boards.get(request.query.get("instId", ""))
        if board is None:
            return _json({"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []})
        size = request.query.get("sz", "1")
        if not size.isdigit() or not 1 <= int(size) <= 400:
            return _json({"code": "51000", "msg": "Parameter sz error", "data": []}, 400)
        book = board.instrument.book
        sides = both_sides(board.instrument, book.bids.top(int(size)), book.asks.top(int(size)))
        return _json(_data([sides | {"ts": str(self.now_ms()), "seqId": book.sequence}]))

    # Faults

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload["data"][0][name] for name in ("prevSeqId", "seqId")}

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        return payload["data"][0]["bids"], payload["data"][0]["asks"]

    def empty(self, payload: dict[str, Any]) -> None:
        payload["data"] = []

    def level(self, price: str, amount: str) -> list[Any]:
        return [price, amount, "0", "1"]

    def unknown(self, symbol: str) -> dict[str, Any]:
        return {"arg": {"channel": "mystery", "instId": self.instruments[symbol].listing.exchange_symbol}, "data": []}


def _over(times: deque[float], most: int, seconds: float) -> bool:
    """Count one more; whether there were more than `most` within so many seconds."""
    now = time.monotonic()
    times.append(now)
    while now - times[0] > seconds:
        times.popleft()
    return len(times) > most


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _data(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}
