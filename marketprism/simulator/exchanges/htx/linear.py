"""HTX linear swaps: books of 20 and 150 levels that bring their snapshot and count versions.

See docs/protocols/htx.md §5.
"""

import re
from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from marketprism.simulator.exchanges.htx.frames import contract_row, high_frequency, linear_bbo, linear_trade, push
from marketprism.simulator.exchanges.htx.server import Board, Htx, TopicError, answered
from marketprism.simulator.market.best_levels import BestLevels
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.prices import STEP
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer

_VERSION = re.compile(rb'"version":(\d+)')


class _SwapBook:
    """One size of an instrument's incremental book: `version` counts its pushes."""

    def __init__(self, stream: Stream, view: BestLevels) -> None:
        self.stream = stream
        self.view = view
        self.version = 1000
        self.seeding: set[Connection] = set()  # subscribed since the last push: the next is a snapshot


class _SwapBoard(Board):
    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.books = [
            _SwapBook(
                server.add_stream(f"{self.root}.depth.size_{count}.high_freq", instrument.listing, "books"),
                BestLevels(instrument.book, count),
            )
            for count in (20, 150)
        ]


class HtxLinear(Htx):
    stride, delay, most_levels = 4, 6, 150
    unanswered = 4
    requests_per_second = 60  # 40 are documented, 60 in one burst were accepted
    time_path = "/api/v1/timestamp"
    every = round(0.03 / STEP)  # steps between two looks at a book
    entry_changes: ClassVar = {
        "closed": {"contract_status": 0},
        "halted": {"contract_status": 3},
        "resized": {"contract_size": 1},
        "unsized": {"contract_size": None, "contract_status": 2},
        "odd": {"price_tick": None},
    }
    contracts_path: ClassVar[str] = "/linear-swap-api/v1/swap_contract_info"

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self._boards = [_SwapBoard(self, instrument, rank) for rank, instrument in enumerate(instruments)]
        self._swap_books = {book.stream.name: book for board in self._boards for book in board.books}

    def step(self, number: int, rate: float, paused: bool) -> None:
        for board in self._boards:
            for trade in () if paused else board.instrument.step(rate):
                if trade is not None:
                    self.publish(board.trade, partial(self._trade, board, trade))
            if board.top_changed():  # states between two looks are dropped
                self.publish(board.bbo, partial(self._bbo, board))
            if number % self.every == board.phase % self.every:
                for book in board.books:
                    self._push_book(board, book)

    def _trade(self, board: Board, trade: Trade) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.trade.name, linear_trade(board.instrument.listing, trade, now), now)

    def _bbo(self, board: Board) -> dict[str, Any]:
        now = self.now_ms()
        return push(board.bbo.name, linear_bbo(board.instrument, board.bbo.name, now), now)

    def _push_book(self, board: Board, book: _SwapBook) -> None:
        seeding = book.seeding & book.stream.subscribers
        if book.view.window.last:
            change = book.view.flush()
            book.version += 1
            book.stream.subscribers -= seeding  # to them this change comes as part of the snapshot
            self.publish(book.stream, lambda: self._depth(board, book, (change.bids, change.asks), "update"))
            book.stream.subscribers |= seeding
        if seeding and not self.stalled(book.stream.symbol):
            sides = [*book.view.bids.items()], [*book.view.asks.items()]
            self.send_to(seeding, book.stream, self._depth(board, book, sides, "snapshot"))
            book.seeding.clear()

    def _depth(self, board: Board, book: _SwapBook, sides: Any, event: str) -> dict[str, Any]:
        now, topic = self.now_ms(), book.stream.name
        return push(topic, high_frequency(board.instrument.listing, sides, event, book.version, topic, now), now)

    def stream_for(self, connection: Connection, topic: str, request: dict[str, Any]) -> Stream:
        # Codes are taken in any case, and data come in upper case.
        market, _, rest = topic.partition(".")
        code, _, channel = rest.partition(".")
        stream = self.streams.get(f"{market}.{code.upper()}.{channel}")
        if stream is None or (stream.channel == "books" and request.get("data_type") != "incremental"):
            raise TopicError(f"invalid topic {topic}")  # whole books on the same topic are not simulated
        return stream

    def on_subscribed(self, connection: Connection, stream: Stream) -> None:
        if stream.channel == "books":
            self._swap_books[stream.name].seeding.add(connection)

    def wrap(self, connection: Connection, stream: Stream, body: bytes) -> bytes:
        """Versions of books are each connection's own."""
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
            web.get("/linear-swap-ws", self.serve),
            web.get(self.time_path, self._time),
            web.get(self.contracts_path, self._contracts),
        ]

    def time_body(self) -> dict[str, Any]:
        return {"status": "ok", "ts": now_ms()}

    async def _contracts(self, request: web.Request) -> web.Response:
        return answered({"status": "ok", "data": self.entries(contract_row), "ts": now_ms()})

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        body = {"status": "error", "err_code": 1032, "err_msg": "too many requests", "ts": now_ms()}
        return answered(body, status, {"Retry-After": str(retry_after)})

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        return {"version": payload["tick"]["version"]}
