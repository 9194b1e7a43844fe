"""Connectors for Binance spot, USD-M and COIN-M futures: one class per feed."""

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from ingest.exchanges.base import ChannelRow
from ingest.exchanges.binance.channels import COINM, SPOT, USDM
from ingest.exchanges.binance.connector import BinanceConnector
from ingest.exchanges.binance.history import COINM_HISTORY, SPOT_HISTORY, USDM_HISTORY
from ingest.exchanges.binance.polls import COINM_POLLS, USDM_POLLS, depth_row
from ingest.exchanges.binance.routes import ANNOUNCEMENTS
from ingest.exchanges.history import History
from ingest.exchanges.listing import number, plain, text
from ingest.exchanges.polls import PollRow
from ingest.rest import Limit, Rest
from schemas.errors import ExchangeError, SymbolError
from schemas.feeds import to_exchange
from schemas.symbols import Selection, parse_symbol

_PERPETUALS = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL"})
_DATED = frozenset({"CURRENT_MONTH", "NEXT_MONTH", "CURRENT_QUARTER", "NEXT_QUARTER"})
_DERIVATIVE = ("funding", "mark_prices", "open_interest", "liquidations", "long_short_ratios", "options")


class BinanceSpot(BinanceConnector):
    """Connector for Binance spot."""

    name: ClassVar[str] = "binance-spot"
    ws: ClassVar[tuple[str, ...]] = ("wss://stream.binance.com:9443", "wss://data-stream.binance.vision")
    rest: ClassVar[tuple[str, ...]] = (
        "https://api.binance.com",
        "https://api-gcp.binance.com",
        "https://data-api.binance.vision",  # all that is ingested, but no historicalTrades, which a backfill asks for
    )
    channels: ClassVar[Mapping[str, ChannelRow]] = SPOT
    history: ClassVar[History] = SPOT_HISTORY
    without: ClassVar[Mapping[str, str]] = dict.fromkeys(_DERIVATIVE, "spot has none")
    message_rate: ClassVar[tuple[float, float]] = (2, 1)  # of 5 a second, which include pongs and our pings
    weight_per_minute: ClassVar[int] = 6000
    best_levels: ClassVar[PollRow] = depth_row("/api/v3/depth", 5)
    depth_path: ClassVar[str] = "/api/v3/depth"
    depth_weights: ClassVar[dict[int, int]] = {100: 5, 500: 25, 1000: 50, 5000: 250}
    time_path: ClassVar[str] = "/api/v3/time"
    info_path: ClassVar[str] = "/api/v3/exchangeInfo"
    info_weight: ClassVar[int] = 20

    async def _info(self, rest: Rest, selection: Selection) -> tuple[str, Any]:
        # The full listing is about 10 MB. But one unknown name among `symbols` makes the exchange reject the request.
        if len(selection.exact) <= 100 and not selection.patterns:
            listed = orjson.dumps([to_exchange(self.name, symbol) for symbol in selection.exact]).decode()
            try:
                return "named", orjson.loads(await rest.get(self.info_path, self.info_weight, symbols=listed))
            except ExchangeError:
                pass
        # The permissions would be most of the listing.
        return "all", orjson.loads(await rest.get(self.info_path, self.info_weight, showPermissionSets="false"))


class BinanceUsdm(BinanceConnector):
    """Connector for Binance USD-M futures."""

    name: ClassVar[str] = "binance-usdm"
    ws: ClassVar[tuple[str, ...]] = ("wss://fstream.binance.com",)
    rest: ClassVar[tuple[str, ...]] = ("https://fapi.binance.com",)
    channels: ClassVar[Mapping[str, ChannelRow]] = USDM
    polls: ClassVar[Mapping[str, PollRow]] = USDM_POLLS
    history: ClassVar[History] = USDM_HISTORY
    without: ClassVar[Mapping[str, str]] = {"options": "a separate market of Binance"}
    announcement_path: ClassVar[str] = "/market/stream"
    announcement_channels: ClassVar[frozenset[str]] = frozenset({ANNOUNCEMENTS})
    message_rate: ClassVar[tuple[float, float]] = (4, 1)  # of 10 a second
    weight_per_minute: ClassVar[int] = 2400
    weight_pool: ClassVar[str] = "binance-futures"  # since 2026-06-30 USD-M and COIN-M have one
    rest_limits: ClassVar[Mapping[str, Limit]] = {
        "/futures/data/": Limit(1000, 300),
        "/fapi/v1/funding": Limit(500, 300),  # fundingRate and fundingInfo together
    }
    best_levels: ClassVar[PollRow] = depth_row("/fapi/v1/depth", 2)
    depth_path: ClassVar[str] = "/fapi/v1/depth"
    depth_weights: ClassVar[dict[int, int]] = {50: 2, 100: 5, 500: 10, 1000: 20}
    time_path: ClassVar[str] = "/fapi/v1/time"
    info_path: ClassVar[str] = "/fapi/v1/exchangeInfo"
    info_weight: ClassVar[int] = 1

    def announcement_requests(self, selection: Selection) -> list[str]:
        return [orjson.dumps({"method": "SUBSCRIBE", "params": [ANNOUNCEMENTS], "id": 1}).decode()]

    def symbol_of(self, entry: Any) -> str:
        """Return the symbol of a perpetual or dated contract, by its `contractType`. `SymbolError` for other types."""
        pair, kind = super().symbol_of(entry), text(entry, "contractType")
        if kind in _PERPETUALS:
            return f"{pair}-PERP"
        if kind in _DATED:
            return str(parse_symbol(f"{pair}-{text(entry, 'symbol').rpartition('_')[2]}"))
        raise SymbolError(f"unknown contractType {kind!r}")


class BinanceCoinm(BinanceUsdm):
    """Connector for Binance COIN-M futures: perpetual and dated contracts of 10 or 100 dollars, margined in coins."""

    name: ClassVar[str] = "binance-coinm"
    ws: ClassVar[tuple[str, ...]] = ("wss://dstream.binance.com",)
    rest: ClassVar[tuple[str, ...]] = ("https://dapi.binance.com",)
    channels: ClassVar[Mapping[str, ChannelRow]] = COINM
    polls: ClassVar[Mapping[str, PollRow]] = COINM_POLLS
    history: ClassVar[History] = COINM_HISTORY
    announcement_path: ClassVar[str] = "/stream"
    rest_limits: ClassVar[Mapping[str, Limit]] = {
        "/futures/data/": Limit(1000, 300),
        "/dapi/v1/funding": Limit(500, 300),
    }
    best_levels: ClassVar[PollRow] = depth_row("/dapi/v1/depth", 2)
    depth_path: ClassVar[str] = "/dapi/v1/depth"
    time_path: ClassVar[str] = "/dapi/v1/time"
    info_path: ClassVar[str] = "/dapi/v1/exchangeInfo"
    status_field: ClassVar[str] = "contractStatus"

    def contract_fields(self, entry: Any) -> dict[str, Any]:
        return {"contract_size": plain(number(entry, "contractSize")), "inverse": True}
