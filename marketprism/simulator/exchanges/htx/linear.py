"""Simulated HTX linear swaps (docs/protocols/htx.md §5).

Books of 20 and 150 levels begin with a snapshot and are numbered by version. Mark and index prices have their own path,
and so have funding rates and liquidations: the notification socket.
"""

import re
from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from marketprism.simulator.exchanges.htx.board import HtxBoard, SwapBoard, SwapBook
from marketprism.simulator.exchanges.htx.control import invalid_topic
from marketprism.simulator.exchanges.htx.figures import liquidation_order
from marketprism.simulator.exchanges.htx.frames import (
    contract_row,
    funding_rate,
    linear_book,
    linear_quote,
    linear_trade,
    push,
)
from marketprism.simulator.exchanges.htx.notifications import (
    BAD_TOPIC,
    NOT_SUBSCRIBED,
    REPEATED,
    TOO_MANY,
    UNKNOWN_CONTRACT,
    TopicError,
    answer,
    parse_operation,
)
from marketprism.simulator.exchanges.htx.rest import API, SwapRest
from marketprism.simulator.exchanges.htx.server import Htx
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import json_response

_MARKET, _INDEX, _NOTIFICATIONS = "/linear-swap-ws", "/ws_index", "/linear-swap-notification"
_PATHS = {
    "mark_prices": _INDEX, "index_prices": _INDEX, "funding": _NOTIFICATIONS, "liquidations": _NOTIFICATIONS,
}  # fmt: skip
_TOPICS = ("funding_rate", "liquidation_orders")  # the other documented ones are not simulated
_VERSION = re.compile(rb'"version":(\d+)')


class HtxLinear(Htx):
    """The market of linear swaps."""

    max_id_step, lag_steps, max_levels = 4, 6, 150
    max_unanswered = 4
    requests_per_second = 60  # 40 are documented; a burst of 60 was accepted
    time_path = "/api/v1/timestamp"
    book_interval = round(0.03 / STEP_S)  # steps between two pushes of a book
    funding_interval = round(5.0 / STEP_S)  # steps between two pushes of a funding rate
    entry_changes: ClassVar = {
        "closed": {"contract_status": 0},
        "halted": {"contract_status": 3},
        "resized": {"contract_size": 1},
        "unsized": {"contract_size": None, "contract_status": 2},
        "odd": {"price_tick": None},
    }
    contracts_path: ClassVar[str] = f"{API}/swap_contract_info"

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = [SwapBoard(self, instrument, rank) for rank, instrument in enumerate(instruments)]
        self._rest = SwapRest(self)
        self._swap_books = {book.stream.name: book for board in self._boards for book in board.books}

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards:
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    self._on_trade(board, trade)
            if board.top_changed():  # once per step, so states within a step are skipped
                self.publish(board.bbo, partial(self._quote, board))
            if board.is_due(number, self.book_interval):
                for book in board.books:
                    self._push_book(board, book)
            if board.is_due(number, self.funding_interval):
                self.publish(board.funding, partial(self._funding, board))
            self.push_figures(board, number)

    def _on_trade(self, board: SwapBoard, trade: Trade) -> None:
        board.instrument.on_trade(trade, self.now_ms())
        self.publish(board.trade, partial(self._trade, board, trade))
        if board.instrument.liquidations.is_liquidation(trade.id):
            self.publish(board.liquidations, partial(self._liquidation, board))

    def _liquidation(self, board: SwapBoard) -> dict[str, Any]:
        newest = board.instrument.liquidations.recent[-1]
        return liquidation_order(board.instrument.listing, newest, board.liquidations.name, self.now_ms())

    def _trade(self, board: HtxBoard, trade: Trade) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.trade.name, linear_trade(board.instrument.listing, trade, now), now)

    def _quote(self, board: HtxBoard) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.bbo.name, linear_quote(board.instrument, board.bbo.name, now), now)

    def _funding(self, board: SwapBoard) -> dict[str, Any]:
        return funding_rate(board.instrument, board.funding.name, self.now_ms())

    def _push_book(self, board: HtxBoard, book: SwapBook) -> None:
        seeding = book.seeding & book.stream.subscribers
        if book.levels.window.last:
            change = book.levels.flush()
            book.version += 1
            book.stream.subscribers -= seeding  # their snapshot includes this change
            self.publish(book.stream, lambda: self._book(board, book, (change.bids, change.asks), "update"))
            book.stream.subscribers |= seeding
        if seeding and not self.is_stalled(book.stream.symbol):
            sides = [*book.levels.bids.items()], [*book.levels.asks.items()]
            self.send_to(seeding, book.stream, self._book(board, book, sides, "snapshot"))
            book.seeding.clear()

    def _book(self, board: HtxBoard, book: SwapBook, sides: Any, event: str) -> dict[str, Any]:
        now, topic = self.now_ms(), book.stream.name
        return push(topic, linear_book(board.instrument.listing, sides, event, book.version, topic, now), now)

    def stream_for(self, connection: Connection, topic: str, request: dict[str, Any]) -> Stream:
        stream = self.streams.get(".".join(_parts(topic)))
        if stream is None or _PATHS.get(stream.channel, _MARKET) != connection.path:
            raise invalid_topic(topic)
        if stream.channel == "books" and request.get("data_type") != "incremental":
            raise invalid_topic(topic)  # without `data_type` the topic means full books, which are not simulated
        return stream

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:
        if stream.channel == "books":
            self._swap_books[stream.name].seeding.add(connection)

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        """Return the frame with the connection's own version numbers of books."""
        if stream.channel != "books":
            return body
        offset = int(connection.id, 16) % 1_000_000
        return _VERSION.sub(lambda found: b'"version":%d' % (int(found[1]) + offset), body)

    def restart(self, symbol: str, chained: bool) -> tuple[int, int]:
        books = [book for book in self._swap_books.values() if book.stream.symbol == symbol]
        before = max(book.version for book in books)
        super().restart(symbol, chained)
        for book in books:
            book.version = 0
        return before, 0

    def routes(self) -> list[web.RouteDef]:
        return [
            *(web.get(path, self.serve) for path in (_MARKET, _INDEX, _NOTIFICATIONS)),
            web.get(self.time_path, self._time),
            web.get(self.contracts_path, self._contracts),
            *self._rest.routes(),
        ]

    def time_body(self) -> dict[str, Any]:
        return {"status": "ok", "ts": now_ms()}

    async def _contracts(self, request: web.Request) -> web.Response:
        return self._rest.respond({"status": "ok", "data": self.entries(contract_row)})

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        body = {"status": "error", "err_code": 1032, "err_msg": "too many requests", "ts": now_ms()}
        return json_response(body, status, {"Retry-After": str(retry_after)})

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {"version": payload["tick"]["version"]}

    # The notification socket

    def ping(self, connection: Connection, time_ms: bytes) -> bytes:
        if connection.path == _NOTIFICATIONS:
            return b'{"op":"ping","ts":"%b"}' % time_ms
        return super().ping(connection, time_ms)

    async def on_text(self, connection: Connection, text: str) -> None:
        if connection.path == _NOTIFICATIONS:
            self._on_operation(connection, text)
        else:
            await super().on_text(connection, text)

    def _on_operation(self, connection: Connection, text: str) -> None:
        request = parse_operation(text)
        if request is None:
            connection.send_json({"op": "error", "ts": self.now_ms()})
        elif request["op"] == "pong":
            self.on_pong(connection, request.get("ts"))
        elif request["op"] != "ping":  # a client's own ping is not answered
            self._on_topic(connection, request)

    def _on_topic(self, connection: Connection, request: dict[str, Any]) -> None:
        try:
            stream = self._notified(connection, request)
        except TopicError as error:
            connection.send_json(answer(request, self.now_ms(), error))
            return
        connection.send_json(answer(request, self.now_ms()))
        if request["op"] == "sub":
            self.subscribe(connection, stream.name, stream)
        else:
            self.unsubscribe(connection, stream.name)

    def _notified(self, connection: Connection, request: dict[str, Any]) -> Stream:
        """Return the stream that a `sub` or `unsub` names; raise `TopicError` if the request cannot be carried out."""
        is_new = request["op"] == "sub"
        if connection.exceeds_rate(self.requests_per_second) or (is_new and self.exceeds_subscribe_limit()):
            raise TopicError(*TOO_MANY)
        root, code, channel = _parts(str(request.get("topic")))
        if root != "public" or channel not in _TOPICS:
            raise TopicError(*BAD_TOPIC)
        stream = self.streams.get(f"{root}.{code}.{channel}")
        if stream is None or (is_new and self.rejects(stream)):
            raise TopicError(*UNKNOWN_CONTRACT)
        if is_new and stream.name in connection.streams:
            raise TopicError(*REPEATED)
        if not is_new and stream.name not in connection.streams:
            raise TopicError(*NOT_SUBSCRIBED)
        return stream


def _parts(topic: str) -> tuple[str, str, str]:
    """Split a topic into root, contract code and channel. Codes are accepted in any case, and sent in upper case."""
    root, _, rest = topic.partition(".")
    code, _, channel = rest.partition(".")
    return root, code.upper(), channel
