"""Klines and past trades by REST: docs/protocols/binance.md §1.6, §2.5."""

from typing import Any

from aiohttp import web

from marketprism.simulator.exchanges.binance import figures
from marketprism.simulator.exchanges.binance.candles import INTERVALS
from marketprism.simulator.exchanges.binance.requests import (
    INVALID,
    MISSING,
    NO_INTERVAL,
    RejectedRequest,
    number,
    parameter,
)
from marketprism.simulator.exchanges.binance.rest import BinanceRest
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import DAY_MS, HOUR_MS
from marketprism.simulator.market.tape import TapeTrade
from marketprism.simulator.server.connection import now_ms

_MOST_TRADES = 1000


class PastData:
    """The past of one server's instruments."""

    def __init__(self, server: BinanceRest, is_futures: bool) -> None:
        self._server = server
        self._is_futures = is_futures

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of requests."""
        prefix = self._server.prefix
        routes = [web.get(f"{prefix}/klines", self._klines), web.get(f"{prefix}/aggTrades", self._aggregated)]
        if self._is_futures:
            routes.append(web.get(f"{prefix}/markPriceKlines", self._mark_prices))
        else:  # futures require a key for raw trades
            routes.append(web.get(f"{prefix}/historicalTrades", self._trades))
        return routes

    async def _klines(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "500")
        if rejection := self._server.spend(self._klines_weight(limit)):
            return rejection
        try:
            return self._server.json(self._kline_rows(request))
        except RejectedRequest as error:
            return self._server.error(error.code, str(error))

    async def _mark_prices(self, request: web.Request) -> web.Response:
        """Serve candles of the mark price, which moves with the price of trades."""
        if rejection := self._server.spend(self._klines_weight(request.query.get("limit", "500"))):
            return rejection
        try:
            rows = self._kline_rows(request)
        except RejectedRequest as error:
            return self._server.error(error.code, str(error))
        return self._server.json([[*row[:5], "0", row[6], "0", 60, "0", "0", "0"] for row in rows])

    def _klines_weight(self, limit: str) -> int:
        if not self._is_futures:
            return 2
        rows = int(limit) if limit.isdigit() else 500
        return next(weight for most, weight in ((99, 1), (499, 2), (1000, 5), (10**9, 10)) if rows <= most)

    def _kline_rows(self, request: web.Request) -> list[list[Any]]:
        instrument, now = self._instrument(request), now_ms()
        name = parameter(request, "interval")
        if name not in INTERVALS or (name == "1s" and self._is_futures):
            raise RejectedRequest(NO_INTERVAL)
        count = number(request, "limit", 500, 1500 if self._is_futures else _MOST_TRADES)
        interval, end = INTERVALS[name], number(request, "endTime", now)
        if "startTime" in request.query:
            found = instrument.candles.first(interval, number(request, "startTime", 0), end, count, now)
        else:
            found = instrument.candles.history(interval, count, end + 1, now)
        return [figures.kline_row(instrument.listing, candle) for candle in found]

    async def _aggregated(self, request: web.Request) -> web.Response:
        if rejection := self._server.spend(20 if self._is_futures else 4):
            return rejection
        try:
            listing, oldest = self._instrument(request).listing, now_ms() - DAY_MS
            found = self._requested(request)
        except RejectedRequest as error:
            return self._server.error(error.code, str(error))
        rows = [
            figures.aggregated_row(listing, trade)
            for trade in found
            if not self._is_futures or trade.at_ms >= oldest  # futures keep them for a day
        ]
        return self._server.json(rows)

    async def _trades(self, request: web.Request) -> web.Response:
        if rejection := self._server.spend(25):
            return rejection
        try:
            instrument = self._instrument(request)
            rows = [figures.trade_row(instrument.listing, trade) for trade in self._requested(request)]
        except RejectedRequest as error:
            return self._server.error(error.code, str(error))
        return self._server.json(rows)

    def _requested(self, request: web.Request) -> list[TapeTrade]:
        tape = self._instrument(request).tape
        count = number(request, "limit", 500, _MOST_TRADES)
        if "fromId" in request.query:
            return tape.trades(tape.number_of(number(request, "fromId", 0)), count)
        if "startTime" not in request.query:
            return tape.latest(count)
        begin = number(request, "startTime", 0)
        end = number(request, "endTime", begin + HOUR_MS)
        if end < begin or (self._is_futures and end - begin > HOUR_MS):
            raise RejectedRequest(INVALID, "endTime")
        return [trade for trade in tape.trades(tape.first_at(begin), count) if trade.at_ms <= end]

    def _instrument(self, request: web.Request) -> SimulatedInstrument:
        if "symbol" not in request.query:
            raise RejectedRequest(MISSING, "symbol")
        return self._server.named(request.query["symbol"])
