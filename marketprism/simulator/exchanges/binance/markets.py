"""The differences between Binance's spot market, USD-M futures and COIN-M futures.

They differ in payloads, speeds, paths, limits and weights.
"""

from functools import partial
from typing import Any, ClassVar

from aiohttp import web

from marketprism.simulator.exchanges.binance import figures, frames
from marketprism.simulator.exchanges.binance.board import BinanceBoard
from marketprism.simulator.exchanges.binance.candles import INTERVALS, RunningCandles
from marketprism.simulator.exchanges.binance.history import PastData
from marketprism.simulator.exchanges.binance.server import BinanceServer
from marketprism.simulator.exchanges.binance.statistics import Statistics
from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import Connection, Limits, Stream, now_ms
from schemas.channels import candles_of

_CONTRACT_INFO = "!contractInfo"
_PUBLIC = ("trade", "bookTicker", "depth")  # streams of instruments that are served on /public, the others on /market


def _best(instrument: SimulatedInstrument) -> tuple[list[str], list[str]]:
    """Return the best bid and the best ask."""
    book = instrument.book
    [bid, ask] = frames.text_levels(instrument.listing, book.bids.top(1) + book.asks.top(1))
    return bid, ask


def _changes(instrument: SimulatedInstrument, window: Window) -> list[list[list[str]]]:
    """Return the changed bids and asks of a window."""
    return [frames.text_levels(instrument.listing, side) for side in instrument.book.changes(window)]


def _value(instrument: SimulatedInstrument, trade: Trade) -> tuple[str, str, str]:
    """Return price, amount and side of a trade."""
    listing = instrument.listing
    return listing.price_text(trade.price), listing.amount_text(trade.amount), trade.side


class BinanceSpot(BinanceServer):
    """The spot market."""

    max_id_step, lag_steps, max_levels = 1, 0, 5000
    intervals: ClassVar = tuple(INTERVALS)
    ticker_s, kline_s = 1.0, 2.0
    speeds: ClassVar = {"@depth": 1.0, "@depth@100ms": 0.1}
    ping_interval, pong_timeout = 20.0, 60.0
    messages_per_second, weight_per_minute, info_weight = 5, 6000, 20
    prefix = "/api/v3"
    entry_changes: ClassVar = {"closed": {"status": "CLOSE"}, "halted": {"status": "HALT"}, "odd": {"filters": []}}

    def rest_routes(self) -> list[web.RouteDef]:
        return [*super().rest_routes(), *PastData(self, is_futures=False).routes()]

    def book_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        return frames.spot_quote(instrument.listing.exchange_symbol, instrument.book.top_sequence, *_best(instrument))

    def depth_update(self, instrument: SimulatedInstrument, window: Window) -> dict[str, Any]:
        # Ids count every change, so an update begins where the one before ended.
        bids, asks = _changes(instrument, window)
        symbol = instrument.listing.exchange_symbol
        return frames.spot_depth(symbol, window.first, window.last, bids, asks, self.now_ms())

    def trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        symbol = instrument.listing.exchange_symbol
        return frames.spot_trade(symbol, trade.id, *_value(instrument, trade), self.now_ms())

    def aggregated_trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        symbol = instrument.listing.exchange_symbol
        return frames.spot_aggregated_trade(symbol, trade.id, *_value(instrument, trade), self.now_ms())

    def partial_depth(self, instrument: SimulatedInstrument, levels: int, previous: int) -> dict[str, Any]:
        book, listing = instrument.book, instrument.listing
        bids, asks = (frames.text_levels(listing, side.top(levels)) for side in book.sides())
        return frames.snapshot(book.sequence, bids, asks)

    def ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        bid, ask = _best(instrument)
        event = super().ticker(instrument)
        return event | {"x": event["o"], "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}

    def depth_weight(self, limit: str | None) -> tuple[int, int] | None:
        if limit is not None and not (limit.isdigit() and int(limit) >= 1):
            return None
        levels = min(int(limit or 100), 5000)
        return levels, next(weight for most, weight in ((100, 5), (500, 25), (1000, 50), (5000, 250)) if levels <= most)

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        return frames.spot_row(listing)


class BinanceUsdm(BinanceServer):
    """The USD-M futures market."""

    max_id_step, lag_steps, max_levels = 40, 2, 1000
    speeds: ClassVar = {"@depth": 0.25, "@depth@500ms": 0.5, "@depth@100ms": 0.1}
    mark_speeds: ClassVar = {"@markPrice": 3.0, "@markPrice@1s": 1.0}
    ticker_s, kline_s = 2.0, 0.25
    by_pair = False  # statistics are of pairs
    ping_interval, pong_timeout = 180.0, 600.0
    messages_per_second, weight_per_minute, info_weight = 10, 2400, 1
    prefix = "/fapi/v1"
    roots: tuple[str, ...] = ("", "/public", "/market")
    status_field = "status"  # of exchangeInfo
    family = 1  # the `st` of events
    entry_changes: ClassVar = {
        "closed": {"status": "SETTLING"},
        "halted": {"status": "PENDING_TRADING"},
        "odd": {"contractType": ""},
    }

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self.streams[_CONTRACT_INFO] = Stream(_CONTRACT_INFO, "", "quotes")
        self._statistics = Statistics(self, self.by_pair)
        self._past = PastData(self, is_futures=True)

    def rest_routes(self) -> list[web.RouteDef]:
        return [*super().rest_routes(), *self._statistics.routes(), *self._past.routes()]

    def add_pushes(self, board: BinanceBoard) -> None:
        super().add_pushes(board)
        instrument = board.instrument
        for suffix, seconds in self.mark_speeds.items():
            board.add_push(suffix, "mark_prices", seconds, lambda: [self.mark_price(instrument)])
        board.add_push("@forceOrder", "liquidations", 1.0, partial(self._forced_orders, board))
        pair, contract = self.pair_and_contract(instrument.listing)
        for name in self.intervals:
            running = RunningCandles(instrument.candles, INTERVALS[name])
            events = partial(self._continuous_klines, instrument, name, running)
            channel = candles_of(name, contract)
            stream = f"{pair.lower()}_{contract}@continuousKline_{name}"
            board.add_named_push(stream, channel, self.kline_s, events)

    def pair_and_contract(self, listing: Listing) -> tuple[str, str]:
        """Return the pair, and which of its continuous contracts this one is at present."""
        row = self.symbol_info(listing)
        return row["pair"], row["contractType"].lower()

    def of_market(self, listing: Listing, event: dict[str, Any]) -> dict[str, Any]:
        return event | {"ps": self.pair_and_contract(listing)[0], "st": self.family}

    def _forced_orders(self, board: BinanceBoard) -> list[dict[str, Any]]:
        found = board.take_liquidation()
        return [figures.forced_order(board.instrument.listing, found, self.now_ms())] if found else []

    def _continuous_klines(
        self, instrument: SimulatedInstrument, name: str, running: RunningCandles
    ) -> list[dict[str, Any]]:
        pair, contract = self.pair_and_contract(instrument.listing)
        return [
            figures.continuous_kline(instrument, pair, contract, name, each, self.now_ms())
            for each in running.due(now_ms())
        ]

    def partial_depth(self, instrument: SimulatedInstrument, levels: int, previous: int) -> dict[str, Any]:
        book, listing = instrument.book, instrument.listing
        bids, asks = (frames.text_levels(listing, side.top(levels)) for side in book.sides())
        ids = (previous + 1, book.sequence, previous)
        return self.of_market(listing, frames.usdm_depth(listing.exchange_symbol, *ids, bids, asks, self.now_ms()))

    def announce_definition(self, symbol: str) -> None:
        row = self.entry(symbol, self.symbol_info)
        status = "CLOSE" if self.is_gone(symbol) else row[self.status_field]
        head = {"e": "contractInfo", "E": self.now_ms(), "s": row["symbol"], "ct": row["contractType"], "cs": status}
        stream = self.streams[_CONTRACT_INFO]
        self.send_to(stream.subscribers, stream, head | {"st": self.family})

    def stream_for(self, connection: Connection, name: str) -> Stream | None:
        # Each stream is served on one path only; on the other path it is acknowledged but silent. A path without a
        # root counts as /public.
        on_market = connection.path.startswith("/market/")
        of_market = name == _CONTRACT_INFO or not name.partition("@")[2].startswith(_PUBLIC)
        return self.streams.get(name) if on_market == of_market else None

    def listed_subscriptions(self, connection: Connection) -> list[str]:
        return [name for name, stream in connection.streams.items() if stream is not None]

    def book_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        symbol = instrument.listing.exchange_symbol
        return frames.usdm_quote(symbol, instrument.book.top_sequence, *_best(instrument), self.now_ms())

    def depth_update(self, instrument: SimulatedInstrument, window: Window) -> dict[str, Any]:
        bids, asks = _changes(instrument, window)
        symbol = instrument.listing.exchange_symbol
        return frames.usdm_depth(symbol, window.first, window.last, window.previous, bids, asks, self.now_ms())

    def trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        symbol = instrument.listing.exchange_symbol
        return frames.usdm_trade(symbol, trade.id, *_value(instrument, trade), self.now_ms())

    def aggregated_trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        symbol = instrument.listing.exchange_symbol
        return frames.usdm_aggregated_trade(symbol, trade.id, *_value(instrument, trade), self.now_ms())

    def mark_price(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        return frames.usdm_mark_price(instrument.listing.exchange_symbol, instrument.funding, self.now_ms())

    def depth_weight(self, limit: str | None) -> tuple[int, int] | None:
        weights = {"5": 2, "10": 2, "20": 2, "50": 2, "100": 5, "500": 10, "1000": 20}
        weight = weights.get(limit or "500")
        return (int(limit or 500), weight) if weight else None

    def snapshot_times(self) -> dict[str, int]:
        now = self.now_ms()
        return {"E": now, "T": now}

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        return frames.usdm_row(listing)


class BinanceCoinm(BinanceUsdm):
    """The COIN-M futures market. Amounts are whole contracts, and all streams are served on the same path."""

    max_id_step, lag_steps, max_levels = 40, 4, 1000
    prefix = "/dapi/v1"
    by_pair = True
    roots = ("",)
    status_field = "contractStatus"
    family = 2
    entry_changes: ClassVar = {
        "closed": {"contractStatus": "SETTLING"},
        "halted": {"contractStatus": "PENDING_TRADING"},
        "resized": {"contractSize": 1},
        "unsized": {"contractSize": None, "contractStatus": "PENDING_TRADING"},
        "odd": {"contractType": ""},
    }

    def stream_for(self, connection: Connection, name: str) -> Stream | None:
        return self.streams.get(name)

    def book_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        return frames.coin_margined(instrument.listing, super().book_ticker(instrument))

    def depth_update(self, instrument: SimulatedInstrument, window: Window) -> dict[str, Any]:
        return frames.coin_margined(instrument.listing, super().depth_update(instrument, window))

    def aggregated_trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        return frames.coin_margined(instrument.listing, super().aggregated_trade(instrument, trade))

    def mark_price(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        return frames.coin_margined(instrument.listing, super().mark_price(instrument))

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        return frames.coinm_row(listing)
