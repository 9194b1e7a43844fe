"""The differences between Binance's spot market, USD-M futures and COIN-M futures.

They differ in payloads, speeds, paths, limits and weights.
"""

from typing import Any, ClassVar

from marketprism.simulator.exchanges.binance import frames
from marketprism.simulator.exchanges.binance.server import BinanceServer
from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import Connection, Limits, Stream

_CONTRACT_INFO = "!contractInfo"
_ON_MARKET = ("aggTrade", "markPrice")  # streams of instruments that are served on /market


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
    speeds: ClassVar = {"@depth": 1.0, "@depth@100ms": 0.1}
    ping_interval, pong_timeout = 20.0, 60.0
    messages_per_second, weight_per_minute, info_weight = 5, 6000, 20
    prefix = "/api/v3"
    entry_changes: ClassVar = {"closed": {"status": "CLOSE"}, "halted": {"status": "HALT"}, "odd": {"filters": []}}

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
        of_market = name == _CONTRACT_INFO or name.partition("@")[2].startswith(_ON_MARKET)
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
