"""Listings of each exchange, as its simulator serves them, for tests to modify."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from ingest.exchanges import CONNECTORS
from ingest.exchanges.base import Connector, Route
from ingest.rest import Rest
from marketprism.simulator.exchanges.binance.markets import BinanceCoinm, BinanceSpot, BinanceUsdm
from marketprism.simulator.exchanges.deribit.frames import instrument_row as deribit_row
from marketprism.simulator.exchanges.htx.frames import contract_row, spot_row
from marketprism.simulator.exchanges.okx.definitions import instrument_row as okx_row
from marketprism.simulator.market.listings import listings_of
from marketprism.simulator.server.connection import Limits


def _binance_rows(feed: str, market: type[BinanceSpot | BinanceUsdm]) -> list[dict[str, Any]]:
    return [market(feed, [], Limits()).symbol_info(each) for each in listings_of(feed)]


ROWS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "binance-spot": lambda: _binance_rows("binance-spot", BinanceSpot),
    "binance-usdm": lambda: _binance_rows("binance-usdm", BinanceUsdm),
    "binance-coinm": lambda: _binance_rows("binance-coinm", BinanceCoinm),
    "okx": lambda: [okx_row(each) for each in listings_of("okx")],
    "htx-spot": lambda: [spot_row(each) for each in listings_of("htx-spot")],
    "htx-linear": lambda: [contract_row(each) for each in listings_of("htx-linear")],
    "deribit": lambda: [deribit_row(each, 1) for each in listings_of("deribit")],
}
SYMBOLS = {feed: [each.symbol for each in listings_of(feed)] for feed in ROWS}


class StubRest(Rest):
    """REST client that answers every request for a listing with these rows, or with the given body."""

    def __init__(self, feed: str, rows: list[Any] | None = None, body: bytes | None = None) -> None:
        self.feed, self.rows, self.body = feed, rows or [], body

    def set_budget(self, weight_per_minute: float) -> None:
        assert weight_per_minute > 0

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        if self.body is not None:
            return self.body
        kind = params.get("instType") or params.get("kind")
        of_kind = [row for row in self.rows if kind is None or type(row) is not dict or self._kind(row) == kind]
        return orjson.dumps(enveloped(self.feed, of_kind))

    def _kind(self, row: Any) -> Any:
        return row.get("instType" if self.feed == "okx" else "kind")


def enveloped(feed: str, rows: list[Any]) -> dict[str, Any]:
    """Wrap rows as the exchange's REST listing response does."""
    if feed.startswith("binance"):
        return {"rateLimits": [], "symbols": rows}
    if feed == "okx":
        return {"code": "0", "msg": "", "data": rows}
    return {"jsonrpc": "2.0", "result": rows} if feed == "deribit" else {"status": "ok", "data": rows}


def connector(feed: str) -> Connector:
    """Return the feed's connector with default settings."""
    return CONNECTORS[feed]()


def routes(connector: Connector, symbols: Iterable[str], channels: Iterable[str]) -> list[Route]:
    """Return the routes of these channels of these instruments (the exchange's names)."""
    return [connector.route_of(symbol, channel) for symbol in symbols for channel in channels]
