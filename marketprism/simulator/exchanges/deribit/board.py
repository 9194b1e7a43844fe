"""One instrument on the simulated Deribit: its streams, what is due on them, and what was last sent."""

from collections.abc import Callable
from functools import partial
from typing import Any

from marketprism.simulator.exchanges.deribit import figures, frames
from marketprism.simulator.exchanges.deribit.charts import Chart
from marketprism.simulator.exchanges.deribit.frames import notification
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Connection, Stream
from marketprism.simulator.server.exchange_server import ExchangeServer
from schemas.exchanges.deribit import RESOLUTIONS

INTERVAL = round(0.1 / STEP_S)  # steps between two pushes of books and trades
_TICKER_INTERVALS = {"100ms": round(0.5 / STEP_S), "agg2": round(1.0 / STEP_S)}  # steps between two pushes
_CHART_INTERVAL = round(1.0 / STEP_S)
_DEPTHS = (1, 10, 20)  # of books that are sent whole

Data = dict[str, Any]


class DeribitBoard(Board):
    """An instrument with its streams of trades, books, BBOs, tickers and candles.

    `seeding`: by stream, connections that subscribed since the last push; their next push is a snapshot.
    """

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.seeding: dict[str, set[Connection]] = {}
        book, name = instrument.book, instrument.listing.exchange_symbol
        self._window = book.window()
        self._trades = self.add_stream(f"trades.{name}.100ms", "trades")
        self._book = self._seeded(f"book.{name}.100ms", "books")
        self._whole_books = {depth: self._seeded(f"book.{name}.none.{depth}.100ms", "quotes") for depth in _DEPTHS}
        self._quote = self._seeded(f"quote.{name}", "quotes")
        self._tickers = {
            interval: self._seeded(f"ticker.{name}.{interval}", "tickers") for interval in _TICKER_INTERVALS
        }
        self._tickers_sent: dict[str, Data] = {}  # without their time
        charts = {resolution: f"chart.trades.{name}.{resolution}" for resolution in RESOLUTIONS.values()}
        self._charts = {
            Chart(instrument.candles, resolution): self._seeded(stream, "candles")
            for resolution, stream in charts.items()
        }
        self._pending_trades: list[Data] = []
        self._sent_prices = set(book.bids.amounts), set(book.asks.amounts)  # the client's prices after the last push
        self._sequence, self.top_sent = book.sequence, book.top_sequence
        self.changed_at = server.now_ms()
        self._last_price = book.bids.at(0)  # ticks; of the last trade, or a price at which one might have happened
        self._direction = 0

    def _seeded(self, name: str, channel: str) -> Stream:
        self.seeding[name] = set()
        return self.add_stream(name, channel)

    # The market

    def run(self, rate: float) -> None:
        """Run the market for one step."""
        for trade in self.instrument.step(rate):
            if trade is not None:
                now = self._server.now_ms()
                self.instrument.on_trade(trade, now)
                direction = self._tick_direction(trade.price)
                self._pending_trades.append(frames.trade_row(self.instrument, trade, direction, now))

    def _tick_direction(self, price: int) -> int:
        """Return 0 (plus), 1 (zero-plus), 2 (minus) or 3 (zero-minus) for a trade at this price."""
        if price == self._last_price:
            self._direction |= 1
        else:
            self._direction = 0 if price > self._last_price else 2
        self._last_price = price
        return self._direction

    # Pushes

    def push(self, number: int) -> None:
        """Send what is due in step `number`."""
        if self.instrument.book.sequence != self._sequence:
            self._sequence = self.instrument.book.sequence
            self.changed_at = self._server.now_ms()
        self._push_quote()
        if self.is_due(number, INTERVAL):
            self._push_trades()
            self._push_books()
        for interval, steps in _TICKER_INTERVALS.items():
            self._push_ticker(interval, self.is_due(number, steps))
        is_due = self.is_due(number, _CHART_INTERVAL)
        for chart, stream in self._charts.items():
            self._push_chart(chart, stream, is_due)

    def _push_quote(self) -> None:
        quote = partial(frames.quote, self.instrument, self.changed_at)
        if self.top_changed():
            self._update(self._quote, quote)
        self._seed(self._quote, quote)

    def _push_trades(self) -> None:
        if self._pending_trades:
            self._server.publish(self._trades, partial(notification, self._trades.name, self._pending_trades))
            self._pending_trades = []

    def _push_books(self) -> None:
        whole = {
            stream: partial(frames.whole_book, self.instrument, depth, self.changed_at)
            for depth, stream in self._whole_books.items()
        }
        if self._window.last:
            change = self._change()
            self._update(self._book, lambda: change)
            for stream, book in whole.items():
                self._update(stream, book)
            self._window.reset()
        for stream, book in whole.items():
            self._seed(stream, book)
        self._seed(self._book, partial(frames.snapshot, self.instrument, self.changed_at))

    def _change(self) -> Data:
        listing, window = self.instrument.listing, self._window
        changes = zip(self.instrument.book.changes(window), self._sent_prices, strict=True)
        bids, asks = (frames.entries(listing, levels, sent_prices) for levels, sent_prices in changes)
        return frames.change(listing, bids, asks, window.previous, window.last, self.changed_at)

    def _push_ticker(self, interval: str, is_due: bool) -> None:
        stream = self._tickers[interval]
        if not stream.subscribers:
            return
        now = self._server.now_ms()
        if is_due:
            state = figures.ticker(self.instrument, now)
            if state != self._tickers_sent.get(interval):
                self._tickers_sent[interval] = state
                self._update(stream, lambda: {"timestamp": now} | state)
        self._seed(stream, lambda: {"timestamp": now} | figures.ticker(self.instrument, now))

    def _push_chart(self, chart: Chart, stream: Stream, is_due: bool) -> None:
        if not stream.subscribers:
            return
        now = self._server.now_ms()
        for candle in chart.changed(now) if is_due else ():
            self._update(stream, partial(figures.candle, candle))
        self._seed(stream, lambda: figures.candle(chart.current(now)))

    def _update(self, stream: Stream, data: Callable[[], Data]) -> None:
        seeding = self._to_seed(stream)
        stream.subscribers -= seeding  # their snapshot includes this change
        self._server.publish(stream, lambda: notification(stream.name, data()))
        stream.subscribers |= seeding

    def _seed(self, stream: Stream, snapshot: Callable[[], Data]) -> None:
        """Send new subscribers their snapshot."""
        seeding = self._to_seed(stream)
        if not seeding or self._server.is_stalled(stream.symbol):
            return
        body = notification(stream.name, snapshot())
        for connection in seeding:
            connection.send_json(body, "snapshot")
        seeding.clear()

    def _to_seed(self, stream: Stream) -> set[Connection]:
        """Return the subscribers that have not yet got their snapshot; the set may be changed."""
        self.seeding[stream.name] &= stream.subscribers
        return self.seeding[stream.name]
