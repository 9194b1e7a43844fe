"""One instrument on the simulated HTX: its streams, and what was last sent on them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from marketprism.simulator.exchanges.htx.figures import (
    INTERVALS,
    MERGED_TICKS,
    index_price,
    linear_candle,
    linear_detail,
    linear_step,
    mark_price,
    refreshed_book,
    spot_candle,
    spot_detail,
    spot_step,
    spot_ticker,
)
from marketprism.simulator.market.best_levels import BestLevels
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import Interval
from marketprism.simulator.market.prices import STEP_S
from marketprism.simulator.server.board import Board
from marketprism.simulator.server.connection import Connection, Stream
from marketprism.simulator.server.exchange_server import ExchangeServer
from schemas.channels import candles_of
from schemas.exchanges.htx import PERIODS, SPOT_PERIODS

_TENTH, _HALF, _SECOND = round(0.1 / STEP_S), round(0.5 / STEP_S), round(1.0 / STEP_S)  # steps
# Channel of streams of whole books: `books` is that of chained updates.
_WHOLE = "quotes"

Tick = Callable[[int], dict[str, Any]]  # the payload at a time in ms
Bar = Callable[[SimulatedInstrument, Interval, int], dict[str, Any]]  # the same of an interval


class Figure(NamedTuple):
    """A stream that repeats current values. `interval`: steps between two pushes; `bars`: of a stream of bars."""

    stream: Stream
    interval: int
    tick: Tick
    bars: Interval | None = None

    def times(self, now: int) -> list[int]:
        """Return the times, in ms, of the values to push: of a bar that has ended since the last push, the last one."""
        if self.bars is None:
            return [now]
        start, _ = self.bars(now)
        return [start - 1, now] if now - start < self.interval * STEP_S * 1000 else [now]


class HtxBoard(Board):
    """An instrument with its streams of trades and BBOs, and of `figures`."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.root = f"market.{instrument.listing.exchange_symbol}"
        self.trade = self.add_stream(f"{self.root}.trade.detail", "trades")
        self.bbo = self.add_stream(f"{self.root}.bbo", "quotes")
        self.figures: list[Figure] = []

    def add_figure(self, name: str, channel: str, interval: int, tick: Tick, bars: Interval | None = None) -> None:
        """Offer a stream of current values under a name of the instrument's."""
        self.figures.append(Figure(self.add_stream(f"{self.root}.{name}", channel), interval, tick, bars))

    def add_bars(self, name: str, periods: Mapping[str, str], bar: Bar, channel: str = "") -> None:
        """Offer the running bars of these periods, by our names of them; `channel`: ours, that of candles if empty."""
        for interval, period in periods.items():
            tick = partial(bar, self.instrument, INTERVALS[interval])
            self.add_figure(f"{name}.{period}", channel or candles_of(interval), _HALF, tick, INTERVALS[interval])


class SpotBoard(HtxBoard):
    """A spot instrument. `books`: stream and levels of each incremental book, by its number of levels."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.books = {
            count: (self.add_stream(f"{self.root}.mbp.{count}", "books"), BestLevels(instrument.book, count))
            for count in (5, 20, 150, 400)
        }
        self.add_figure("detail", "tickers", _HALF, partial(spot_detail, instrument))
        self.add_figure("ticker", "tickers", _TENTH, partial(spot_ticker, instrument))
        self.add_bars("kline", SPOT_PERIODS, spot_candle)
        for count in (5, 10, 20):
            self.add_figure(f"mbp.refresh.{count}", _WHOLE, _TENTH, partial(refreshed_book, instrument, count))
        for step in range(len(MERGED_TICKS)):
            self.add_figure(f"depth.step{step}", _WHOLE, _SECOND, partial(spot_step, instrument, step))


class SwapBook:
    """An incremental book of one size. `version` counts its pushes."""

    def __init__(self, stream: Stream, levels: BestLevels) -> None:
        self.stream = stream
        self.levels = levels
        self.version = 1000
        self.seeding: set[Connection] = set()  # subscribed since the last push; their next push is a snapshot


class SwapBoard(HtxBoard):
    """A swap with its incremental books of 20 and 150 levels, its funding rate and its liquidations."""

    def __init__(self, server: ExchangeServer, instrument: SimulatedInstrument, phase: int) -> None:
        super().__init__(server, instrument, phase)
        self.books = [
            SwapBook(
                self.add_stream(f"{self.root}.depth.size_{count}.high_freq", "books"),
                BestLevels(instrument.book, count),
            )
            for count in (20, 150)
        ]
        code = instrument.listing.exchange_symbol
        self.funding = self.add_stream(f"public.{code}.funding_rate", "funding")
        self.liquidations = self.add_stream(f"public.{code}.liquidation_orders", "liquidations")
        self.add_figure("detail", "tickers", _HALF, partial(linear_detail, instrument))
        self.add_bars("kline", PERIODS, linear_candle)
        self.add_bars("mark_price", PERIODS, mark_price, "mark_prices")
        self.add_bars("index", PERIODS, index_price, "index_prices")
        for step, count in ((0, 150), (6, 30)):
            name = f"depth.step{step}"
            self.add_figure(name, _WHOLE, _TENTH, partial(linear_step, instrument, f"{self.root}.{name}", count))
