"""The REST API of the simulated Binance, with its weights (docs/protocols/binance.md §1.6, §2.5)."""

from functools import cached_property
from typing import Any

from aiohttp import web

from marketprism.simulator.exchanges.binance import frames
from marketprism.simulator.exchanges.binance.control import requested_symbols
from marketprism.simulator.exchanges.binance.requests import NO_SYMBOL, RejectedRequest
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer, json_response
from marketprism.simulator.server.request_windows import RequestWindow


class BinanceRest(ExchangeServer):
    """What the REST APIs of spot and futures have in common."""

    prefix: str  # of paths
    weight_per_minute: int
    weight_window = 60  # s
    info_weight: int

    @cached_property
    def weight(self) -> RequestWindow:
        """The weight of all requests."""
        return RequestWindow(self.limits.weight_per_minute or self.weight_per_minute, self.weight_window)

    def rest_routes(self) -> list[web.RouteDef]:
        """Return the paths of requests."""
        return [
            web.get(f"{self.prefix}/ping", self._ping),
            web.get(f"{self.prefix}/time", self._time),
            web.get(f"{self.prefix}/exchangeInfo", self._exchange_info),
            web.get(f"{self.prefix}/depth", self._depth),
        ]

    def depth_weight(self, limit: str | None) -> tuple[int, int] | None:
        """Return levels and weight of a depth request; None: invalid limit."""
        raise NotImplementedError

    def snapshot_times(self) -> dict[str, int]:
        """Return the times that a snapshot has."""
        return {}

    def symbol_info(self, listing: Listing) -> dict[str, Any]:
        """Return a symbol of exchangeInfo."""
        raise NotImplementedError

    def spend(self, weight: int = 1, window: RequestWindow | None = None) -> web.Response | None:
        """Count a request in a window, or else its weight; return the error response if that exceeds the limit."""
        wait = (window or self.weight).spend(weight)
        return self.rate_limited(429, wait) if wait else None

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        text = "Too much request weight used; please use WebSocket Streams for live updates to avoid polling the API."
        if status == 418:
            text = f"Way too many requests; IP banned until {now_ms() + 1000 * retry_after}."
        return self.json({"code": -1003, "msg": text}, status, {"Retry-After": str(retry_after)})

    def json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        used = {"X-MBX-USED-WEIGHT-1M": str(self.weight.used)} | (headers or {})
        return json_response(body, status, used)

    def named(self, symbol: str) -> SimulatedInstrument:
        """Return the instrument of a name; raise `RejectedRequest`."""
        instrument = self.by_exchange_symbol.get(symbol)
        if instrument is None or self.is_gone(instrument.listing.symbol):
            raise RejectedRequest(NO_SYMBOL)
        return instrument

    def error(self, code: int, text: str) -> web.Response:
        return self.json({"code": code, "msg": text}, 400)

    async def _ping(self, request: web.Request) -> web.Response:
        return self.spend(1) or self.json({})

    async def _time(self, request: web.Request) -> web.Response:
        return self.spend(1) or self.json({"serverTime": now_ms()})

    async def _exchange_info(self, request: web.Request) -> web.Response:
        if rejection := self.spend(self.info_weight):
            return rejection
        names = requested_symbols(request)
        symbols = [row for row in self.entries(self.symbol_info) if names is None or row["symbol"] in names]
        if names is not None and len(symbols) < len(set(names)):
            return self.error(-1121, "Invalid symbol.")
        limit = {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": self.limits.weight_per_minute or self.weight_per_minute,
        }
        return self.json({"timezone": "UTC", "serverTime": now_ms(), "rateLimits": [limit], "symbols": symbols})

    async def _depth(self, request: web.Request) -> web.Response:
        accepted = self.depth_weight(request.query.get("limit"))
        if accepted is None:
            return self.spend(1) or self.error(-1130, "Data sent for parameter 'limit' is not valid.")
        levels, weight = accepted
        if rejection := self.spend(weight):
            return rejection
        if "symbol" not in request.query:
            return self.error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        instrument = self.by_exchange_symbol.get(request.query["symbol"])
        if instrument is None or self.is_gone(instrument.listing.symbol):
            return self.error(-1121, "Invalid symbol.")
        book, listing = instrument.book, instrument.listing
        bids, asks = (frames.text_levels(listing, side.top(levels)) for side in book.sides())
        return self.json(frames.snapshot(book.sequence, bids, asks, self.snapshot_times()))
