"""In what Binance's spot and USD-M futures differ: payloads, speeds, paths, limits and weights."""

from typing import Any, ClassVar

from marketprism.simulator.exchanges.binance.server import BinanceServer
from marketprism.simulator.market.book import Window
from marketprism.simulator.market.instrument import SimulatedInstrument, Trade
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import Connection, Limits, Stream
from marketprism.simulator.server.exchange_server import text_levels
from schemas.symbols import parse_symbol

_NEWS = "!contractInfo"


def _top(instrument: SimulatedInstrument) -> dict[str, str]:
    listing, book = instrument.listing, instrument.book
    (bid, bid_amount), (ask, ask_amount) = book.bids.top(1)[0], book.asks.top(1)[0]
    return {
        "b": listing.price_text(bid),
        "B": listing.amount_text(bid_amount),
        "a": listing.price_text(ask),
        "A": listing.amount_text(ask_amount),
    }


def _changes(instrument: SimulatedInstrument, window: Window) -> dict[str, list[list[str]]]:
    bids, asks = instrument.book.changes(window)
    return {"b": text_levels(instrument.listing, bids), "a": text_levels(instrument.listing, asks)}


def _filters(listing: Listing) -> list[dict[str, str]]:
    tick, lot = listing.price_text(1), listing.amount_text(1)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": listing.price_text(10**8), "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": listing.amount_text(10**8), "stepSize": lot},
    ]


class BinanceSpot(BinanceServer):
    stride, delay, most_levels = 1, 0, 5000
    speeds: ClassVar = {"@depth": 1.0, "@depth@100ms": 0.1}
    ping_interval, pong_timeout = 20.0, 60.0
    messages_per_second, weight_per_minute, info_weight = 5, 6000, 20
    prefix = "/api/v3"
    entry_changes: ClassVar = {"closed": {"status": "CLOSE"}, "halted": {"status": "HALT"}, "odd": {"filters": []}}

    def book_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        head = {"u": instrument.book.top_sequence, "s": instrument.listing.exchange_symbol}
        return head | _top(instrument)

    def depth_update(self, instrument: SimulatedInstrument, window: Window) -> dict[str, Any]:
        # Ids count every change, so an event begins where the one before ended.
        return {
            "e": "depthUpdate",
            "E": self.now_ms(),
            "s": instrument.listing.exchange_symbol,
            "U": window.first,
            "u": window.last,
        } | _changes(instrument, window)

    def trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        return {"e": "trade"} | self._trade(instrument, trade, {"t": trade.id})

    def aggregated_trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        return {"e": "aggTrade"} | self._trade(instrument, trade, {"a": trade.id, "f": trade.id, "l": trade.id})

    def _trade(self, instrument: SimulatedInstrument, trade: Trade, ids: dict[str, int]) -> dict[str, Any]:
        listing, now = instrument.listing, self.now_ms()
        head = {"E": now, "s": listing.exchange_symbol} | ids
        value = {"p": listing.price_text(trade.price), "q": listing.amount_text(trade.amount)}
        return head | value | {"T": now, "m": trade.side == "sell", "M": True}

    def depth_weight(self, limit: str | None) -> tuple[int, int] | None:
        if limit is not None and not (limit.isdigit() and int(limit) >= 1):
            return None
        levels = min(int(limit or 100), 5000)
        return levels, next(weight for most, weight in ((100, 5), (500, 25), (1000, 50), (5000, 250)) if levels <= most)

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        return {
            "symbol": listing.exchange_symbol,
            "status": "TRADING",
            "baseAsset": listing.underlying,
            "baseAssetPrecision": 8,
            "quoteAsset": listing.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": True,
            "filters": _filters(listing),
            "permissions": [],
            "permissionSets": [["SPOT"]],
        }


class BinanceUsdm(BinanceServer):
    stride, delay, most_levels = 40, 2, 1000
    speeds: ClassVar = {"@depth": 0.25, "@depth@500ms": 0.5, "@depth@100ms": 0.1}
    ping_interval, pong_timeout = 180.0, 600.0
    messages_per_second, weight_per_minute, info_weight = 10, 2400, 1
    prefix = "/fapi/v1"
    roots = ("", "/public", "/market")
    entry_changes: ClassVar = {
        "closed": {"status": "SETTLING"},
        "halted": {"status": "PENDING_TRADING"},
        "odd": {"contractType": ""},
    }

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self.streams[_NEWS] = Stream(_NEWS, "", "quotes")

    def announce_definition(self, symbol: str) -> None:
        row = self.entry(symbol, self.symbol_info)
        status = "CLOSE" if self.is_gone(symbol) else row["status"]
        head = {"e": "contractInfo", "E": self.now_ms(), "s": row["symbol"], "ct": row["contractType"], "cs": status}
        stream = self.streams[_NEWS]
        self.send_to(stream.subscribers, stream, head | {"st": 1})

    def stream_for(self, connection: Connection, name: str) -> Stream | None:
        # Each stream belongs to one path; on the other it is acknowledged and silent. No path counts as /public.
        on_market = connection.path.startswith("/market/")
        of_market = name == _NEWS or name.endswith("@aggTrade")
        return self.streams.get(name) if on_market == of_market else None

    def listed(self, connection: Connection) -> list[str]:
        return [name for name, stream in connection.streams.items() if stream is not None]

    def book_ticker(self, instrument: SimulatedInstrument) -> dict[str, Any]:
        now = self.now_ms()
        head = {"e": "bookTicker", "u": instrument.book.top_sequence, "E": now, "T": now}
        return head | self._names(instrument.listing) | _top(instrument) | {"st": 1}

    def depth_update(self, instrument: SimulatedInstrument, window: Window) -> dict[str, Any]:
        now = self.now_ms()
        ids = {"U": window.first, "u": window.last, "pu": window.previous}
        head = {"e": "depthUpdate", "E": now, "T": now}
        return head | self._names(instrument.listing) | ids | _changes(instrument, window) | {"st": 1}

    def trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        now = self.now_ms()
        head = {"e": "trade", "E": now, "T": now, "s": instrument.listing.exchange_symbol, "t": trade.id}
        return head | self._value(instrument.listing, trade) | {"X": "MARKET", "m": trade.side == "sell"}

    def aggregated_trade(self, instrument: SimulatedInstrument, trade: Trade) -> dict[str, Any]:
        now, value = self.now_ms(), self._value(instrument.listing, trade)
        head = {"e": "aggTrade", "E": now, "s": instrument.listing.exchange_symbol, "a": trade.id} | value
        tail = {"f": trade.id, "l": trade.id, "T": now, "m": trade.side == "sell", "st": 1}
        return head | {"nq": value["q"]} | tail

    def _value(self, listing: Listing, trade: Trade) -> dict[str, str]:
        return {"p": listing.price_text(trade.price), "q": listing.amount_text(trade.amount)}

    def _names(self, listing: Listing) -> dict[str, str]:
        return {"s": listing.exchange_symbol, "ps": listing.exchange_symbol}

    def depth_weight(self, limit: str | None) -> tuple[int, int] | None:
        weights = {"5": 2, "10": 2, "20": 2, "50": 2, "100": 5, "500": 10, "1000": 20}
        weight = weights.get(limit or "500")
        return (int(limit or 500), weight) if weight else None

    def depth_times(self) -> dict[str, int]:
        now = self.now_ms()
        return {"E": now, "T": now}

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        return {
            "symbol": listing.exchange_symbol,
            "pair": listing.exchange_symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000,
            "status": "TRADING",
            "baseAsset": listing.underlying,
            "quoteAsset": listing.quote,
            "marginAsset": parse_symbol(listing.symbol).quote,
            "pricePrecision": 2,
            "quantityPrecision": 3,
            "underlyingType": "COIN",
            "underlyingSubType": ["PoW"],
            "filters": _filters(listing),
            "orderTypes": ["LIMIT", "MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }
