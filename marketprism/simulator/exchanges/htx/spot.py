"""Simulated HTX spot (docs/protocols/htx.md §4).

Incremental books of 5 to 400 levels have their own path, and snapshots come on request.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from marketprism.simulator.exchanges.htx import history
from marketprism.simulator.exchanges.htx.board import HtxBoard, SpotBoard
from marketprism.simulator.exchanges.htx.control import RequestError, invalid_topic
from marketprism.simulator.exchanges.htx.depth import spot_depth
from marketprism.simulator.exchanges.htx.frames import levels, push, spot_book, spot_quote, spot_row, spot_trade
from marketprism.simulator.exchanges.htx.server import Htx
from marketprism.simulator.market.best_levels import Change
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import json_response
from marketprism.simulator.server.request_windows import RequestWindow

_REST_WINDOW_S = 300
_REST_LIMITS = {"/market/depth": 4000, "/market/history/trade": 3000, "/market/history/kline": 4500}


class HtxSpot(Htx):
    """The spot market."""

    max_id_step, lag_steps, max_levels = 3, 8, 400
    max_unanswered = 2
    requests_per_second = 50
    time_path = "/v1/common/timestamp"
    book_interval = round(0.1 / STEP_S)  # steps between two pushes of 150 and 400 levels
    request_interval_ms = 100  # minimum between two requests for snapshots
    entry_changes: ClassVar = {"closed": {"state": "offline"}, "halted": {"state": "suspend"}, "odd": {"bc": None}}

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = [SpotBoard(self, instrument, 3 * rank) for rank, instrument in enumerate(instruments)]
        self._levels = {stream.name: best for board in self._boards for stream, best in board.books.values()}
        self._requested_at: dict[str, int] = {}  # ms, by id of the connection
        minutely = limits.weight_per_minute
        self._windows = {
            path: RequestWindow(most if minutely is None else minutely * _REST_WINDOW_S // 60, _REST_WINDOW_S)
            for path, most in _REST_LIMITS.items()
        }

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards:
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    board.instrument.on_trade(trade, self.now_ms())
                    self.publish(board.trade, partial(self._trade, board, trade))
                self._push_ticks(board)
            self._push_ticks(board)  # an arbitrage may have moved the book between two steps
            if board.is_due(number, self.book_interval):
                self._push_large_books(board)
            self.push_figures(board, number)

    def _trade(self, board: HtxBoard, trade: Trade) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.trade.name, spot_trade(board.instrument.listing, trade, now), now)

    def _quote(self, board: HtxBoard) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.bbo.name, spot_quote(board.instrument, now), now)

    def _push_ticks(self, board: SpotBoard) -> None:
        """Push the BBO and the small books on every change."""
        if board.top_changed():
            self.publish(board.bbo, partial(self._quote, board))
        for count in (5, 20):
            stream, best = board.books[count]
            if best.has_changed():
                self._push_book(board, stream, best.flush(), False)

    def _push_large_books(self, board: SpotBoard) -> None:
        """Push the large books, even if nothing has changed."""
        for count in (150, 400):
            stream, best = board.books[count]
            if not best.window.last:
                board.instrument.book.raise_sequence()
            self._push_book(board, stream, best.flush(), True)

    def _push_book(self, board: HtxBoard, stream: Stream, change: Change, both_sides: bool) -> None:
        listing = board.instrument.listing
        self.publish(stream, lambda: push(stream.name, spot_book(listing, change, both_sides), self.now_ms()))

    def stream_for(self, connection: Connection, topic: str, request: dict[str, Any]) -> Stream:
        # Books of the best levels have their own path.
        stream = self.streams.get(topic)
        if stream is None or (".mbp." in topic) != (connection.path == "/feed"):
            raise invalid_topic(topic)
        return stream

    def requested_data(self, connection: Connection, topic: str) -> dict[str, Any]:
        stream, now = self.stream_for(connection, topic, {}), now_ms()
        if now - self._requested_at.get(connection.id, 0) < self.request_interval_ms:
            raise RequestError("429 too many request")
        self._requested_at[connection.id] = now
        best = self._levels.get(stream.name)
        if best is None:
            return super().requested_data(connection, topic)
        listing = self.instruments[stream.symbol].listing
        bids, asks = levels(listing, [*best.bids.items()]), levels(listing, [*best.asks.items()])
        return {"data": {"seqNum": best.sequence, "bids": bids, "asks": asks}}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ws", self.serve),
            web.get("/feed", self.serve),
            web.get(self.time_path, self._time),
            web.get("/v1/settings/common/market-symbols", self._symbols),
            web.get("/market/history/kline", self._handler(history.spot_candles)),
            web.get("/market/history/trade", self._handler(history.spot_trades)),
            web.get("/market/depth", self._handler(spot_depth, "tick")),
        ]

    def time_body(self) -> dict[str, Any]:
        return {"status": "ok", "data": now_ms()}

    async def _symbols(self, request: web.Request) -> web.Response:
        return json_response({"status": "ok", "data": self.entries(spot_row), "ts": str(now_ms()), "full": 1})

    def _handler(
        self, body: Callable[[SimulatedInstrument, web.Request, int], Any], name: str = "data"
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the handler of requests about one symbol, whose body is the answer's field `name`."""

        async def handle(request: web.Request) -> web.Response:
            window = self._windows[request.path]
            if wait := window.spend(1):
                return self.rate_limited(429, wait)
            instrument = self.by_exchange_symbol.get(request.query.get("symbol", ""))
            try:
                if instrument is None or self.is_gone(instrument.listing.symbol):
                    raise history.ParameterError("symbol")
                answer = {"status": "ok", "ts": now_ms(), name: body(instrument, request, self.now_ms())}
            except history.ParameterError as error:
                answer = {"status": "error", "err-code": "invalid-parameter", "err-msg": f"invalid {error}", name: None}
            headers = {
                "X-HB-RateLimit-Requests-Remain": str(window.left),
                "X-HB-RateLimit-Requests-Expire": str(window.ends_at * 1000),
            }
            return json_response(answer, headers=headers)

        return handle

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        body = {"status": "error", "err-code": "too-many-requests", "err-msg": "too many requests", "data": None}
        return json_response(body, status, {"Retry-After": str(retry_after)})

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload["tick"][name] for name in ("prevSeqNum", "seqNum")}
