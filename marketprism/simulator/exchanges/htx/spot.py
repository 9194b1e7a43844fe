"""HTX spot: incremental books of 5 to 400 levels on a path of their own, whose snapshots are pulled.

See docs/protocols/htx.md §4.
"""

from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from marketprism.simulator.exchanges.htx.frames import levels, mbp, push, spot_bbo, spot_row, spot_trade
from marketprism.simulator.exchanges.htx.server import Board, Htx, TopicError, answered
from marketprism.simulator.market.best_levels import BestLevels, Change
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.prices import STEP
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer


class _SpotBoard(Board):
    """With the incremental books, each of a number of levels."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.books = {
            count: (
                server.add_stream(f"{self.root}.mbp.{count}", instrument.listing, "books"),
                BestLevels(instrument.book, count),
            )
            for count in (5, 20, 150, 400)
        }


class HtxSpot(Htx):
    stride, delay, most_levels = 3, 8, 400
    unanswered = 2
    requests_per_second = 50
    time_path = "/v1/common/timestamp"
    every = round(0.1 / STEP)  # steps between two pushes of 150 and 400 levels
    pulls_apart = 100  # ms
    entry_changes: ClassVar = {"closed": {"state": "offline"}, "halted": {"state": "suspend"}, "odd": {"bc": None}}

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = [_SpotBoard(self, instrument, 3 * rank) for rank, instrument in enumerate(instruments)]
        self._views = {stream.name: view for board in self._boards for stream, view in board.books.values()}
        self._pulled: dict[str, int] = {}

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards:
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    self.publish(board.trade, partial(self._trade, board, trade))
                self._push_ticks(board)
            self._push_ticks(board)  # what an arbitrage moved between the steps
            if number % self.every == board.phase % self.every:
                self._push_differences(board)

    def _trade(self, board: Board, trade: Trade) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.trade.name, spot_trade(board.instrument.listing, trade, now), now)

    def _bbo(self, board: Board) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.bbo.name, spot_bbo(board.instrument, now), now)

    def _push_ticks(self, board: _SpotBoard) -> None:
        """Best prices, and the books of few levels, are sent change by change."""
        if board.top_changed():
            self.publish(board.bbo, partial(self._bbo, board))
        for count in (5, 20):
            stream, view = board.books[count]
            if view.touched():
                self._push_book(board, stream, view.flush(), False)

    def _push_differences(self, board: _SpotBoard) -> None:
        """Sent even when nothing has changed."""
        for count in (150, 400):
            stream, view = board.books[count]
            if not view.window.last:
                board.instrument.book.touch()
            self._push_book(board, stream, view.flush(), True)

    def _push_book(self, board: Board, stream: Stream, change: Change, both_sides: bool) -> None:
        listing = board.instrument.listing
        self.publish(stream, lambda: push(stream.name, mbp(listing, change, both_sides), self.now_ms()))

    def stream_for(self, connection: Connection, topic: str, request: dict[str, Any]) -> Stream:
        # Incremental books live on a path of their own.
        stream = self.streams.get(topic)
        if stream is None or (stream.channel == "books") != (connection.path == "/feed"):
            raise TopicError(f"invalid topic {topic}")
        return stream

    def pull(self, connection: Connection, topic: str) -> dict[str, Any]:
        stream, now = self.stream_for(connection, topic, {}), now_ms()
        if now - self._pulled.get(connection.id, 0) < self.pulls_apart:
            raise TopicError("429 too many request")
        self._pulled[connection.id] = now
        view = self._views.get(stream.name)
        if view is None:
            return super().pull(connection, topic)
        listing = self.instruments[stream.symbol].listing
        bids, asks = levels(listing, [*view.bids.items()]), levels(listing, [*view.asks.items()])
        return {"data": {"seqNum": view.sequence, "bids": bids, "asks": asks}}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ws", self.serve),
            web.get("/feed", self.serve),
            web.get(self.time_path, self._time),
            web.get("/v1/settings/common/market-symbols", self._symbols),
        ]

    def time_body(self) -> dict[str, Any]:
        return {"status": "ok", "data": now_ms()}

    async def _symbols(self, request: web.Request) -> web.Response:
        return answered({"status": "ok", "data": self.entries(spot_row), "ts": str(now_ms()), "full": 1})

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        body = {"status": "error", "err-code": "too-many-requests", "err-msg": "too many requests", "data": None}
        return answered(body, status, {"Retry-After": str(retry_after)})

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {name: payload["tick"][name] for name in ("prevSeqNum", "seqNum")}
