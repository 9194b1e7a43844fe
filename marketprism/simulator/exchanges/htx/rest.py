"""The simulated HTX's REST endpoints about swaps, with the limit that they share (docs/protocols/htx.md §5.2, §5.6)."""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from marketprism.simulator.exchanges.htx import history
from marketprism.simulator.exchanges.htx.depth import linear_depth
from marketprism.simulator.exchanges.htx.history import ParameterError, whole
from marketprism.simulator.market.funding import INTERVAL_HOURS
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import HOUR_MS, MINUTE_MS, every
from marketprism.simulator.server.exchange_server import ExchangeServer, json_response
from schemas.exchanges.htx import PERIODS

API = "/linear-swap-api/v1"
_MARKET = "/linear-swap-ex/market"
REQUESTS, WINDOW_S = 240, 3.0
RATIO_PERIODS = 30  # in an answer; the real number is not documented
SETTLEMENTS = 120  # of which the history goes back
_LENGTHS = {"5min": 5, "15min": 15, "30min": 30, "60min": 60, "4hour": 240, "1day": 1440}  # minutes
_OURS = {period: interval for interval, period in PERIODS.items()}

Body = Callable[[SimulatedInstrument, web.Request], Any]


class SwapRest:
    """The endpoints of one server, and the times of recent requests."""

    def __init__(self, server: ExchangeServer) -> None:
        self._server = server
        minutely = server.limits.weight_per_minute
        self._limit = REQUESTS if minutely is None else int(minutely * WINDOW_S / 60)
        self._requested_at: deque[float] = deque()

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of what is about one contract."""
        bodies: dict[str, Body] = {
            "swap_open_interest": self._open_interest,
            "swap_elite_account_ratio": self._account_ratios,
            "swap_elite_position_ratio": self._position_ratios,
            "swap_historical_funding_rate": self._settled_rates,
            "swap_his_open_interest": self._past_interest,
        }
        past = {"kline": history.linear_candles, "trade": history.linear_trades}
        return [
            *(web.get(f"{API}/{name}", self._handler(body)) for name, body in bodies.items()),
            web.get(
                "/index/market/history/linear_swap_mark_price_kline",
                self._handler(partial(self._past, history.mark_prices)),
            ),
            *(
                web.get(f"{_MARKET}/history/{name}", self._handler(partial(self._past, rows)))
                for name, rows in past.items()
            ),
            web.get(f"{_MARKET}/depth", self._handler(partial(self._past, linear_depth), "tick")),
        ]

    def _handler(self, body: Body, name: str = "data") -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            instrument = self._server.by_exchange_symbol.get(request.query.get("contract_code", "").upper())
            if instrument is None or self._server.is_gone(instrument.listing.symbol):
                return self.respond(_error(1332, "The contract doesn't exist."))
            try:
                return self.respond({"status": "ok", name: body(instrument, request)})
            except ParameterError as error:
                return self.respond(_error(1030, f"Input error: {error}."))

        return handle

    def respond(self, body: dict[str, Any]) -> web.Response:
        """Count a request, and return its response; an error if it exceeds the limit."""
        now = time.monotonic()
        while self._requested_at and now - self._requested_at[0] > WINDOW_S:
            self._requested_at.popleft()
        if len(self._requested_at) >= self._limit:
            return self._server.rate_limited(429, round(WINDOW_S))
        self._requested_at.append(now)
        headers = {
            "ratelimit-limit": str(self._limit),
            "ratelimit-interval": str(round(WINDOW_S * 1000)),
            "ratelimit-remaining": str(self._limit - len(self._requested_at)),
        }
        return json_response(body | {"ts": self._server.now_ms()}, headers=headers)

    def _past(
        self,
        rows: Callable[[SimulatedInstrument, web.Request, int], Any],
        instrument: SimulatedInstrument,
        request: web.Request,
    ) -> Any:
        return rows(instrument, request, self._server.now_ms())

    def _open_interest(self, instrument: SimulatedInstrument, request: web.Request) -> list[dict[str, Any]]:
        now, listing = self._server.now_ms(), instrument.listing
        found, day = instrument.positions.open_interest(now), instrument.day.at(now)
        row = {"volume": found.own, "amount": found.base, "value": found.quote}
        traded = {
            "trade_amount": day.base_volume,
            "trade_volume": day.volume,
            "trade_turnover": day.quote_volume,
        }
        numbers = {name: orjson.Fragment(format(value, "f")) for name, value in (row | traded).items()}
        return [numbers | _names(instrument) | {"contract_type": "swap", "trade_partition": listing.quote}]

    def _account_ratios(self, instrument: SimulatedInstrument, request: web.Request) -> dict[str, Any]:
        return self._ratios(instrument, request, "top accounts", {"locked_ratio": 0})

    def _position_ratios(self, instrument: SimulatedInstrument, request: web.Request) -> dict[str, Any]:
        return self._ratios(instrument, request, "top positions", {})

    def _ratios(
        self, instrument: SimulatedInstrument, request: web.Request, name: str, more: dict[str, Any]
    ) -> dict[str, Any]:
        period = request.query.get("period", "")
        if period not in _LENGTHS:
            raise ParameterError("period")
        length = _LENGTHS[period] * MINUTE_MS
        newest, _ = every(length)(self._server.now_ms())
        rows = []
        for start in range(newest - (RATIO_PERIODS - 1) * length, newest + 1, length):
            long, short = instrument.positions.shares(instrument.listing.symbol, f"{name} {_OURS[period]}", start)
            rows.append({"buy_ratio": float(long), "sell_ratio": float(short), "ts": start} | more)
        return {"list": rows} | _names(instrument)

    def _past_interest(self, instrument: SimulatedInstrument, request: web.Request) -> dict[str, Any]:
        period, size = request.query.get("period", ""), whole(request, "size", 48, 200)
        if period not in ("60min", "4hour", "12hour", "1day"):
            raise ParameterError("period")
        unit, length = whole(request, "amount_type", 1, 2), {"12hour": 720}.get(period) or _LENGTHS[period]
        newest, _ = every(length * MINUTE_MS)(self._server.now_ms())
        rows = []
        for number in range(size):
            at = newest - number * length * MINUTE_MS
            found = instrument.positions.open_interest(at)
            figures = {"volume": found.own if unit == 1 else found.base, "value": found.quote}
            numbers = {name: orjson.Fragment(format(value, "f")) for name, value in figures.items()}
            rows.append(numbers | {"amount_type": unit, "ts": at})
        return {"tick": rows} | _names(instrument)

    def _settled_rates(self, instrument: SimulatedInstrument, request: web.Request) -> dict[str, Any]:
        page, size = whole(request, "page_index", 1, SETTLEMENTS), whole(request, "page_size", 20, 50)
        length = INTERVAL_HOURS * HOUR_MS
        newest, _ = every(length)(self._server.now_ms())
        times = [newest - number * length for number in range(SETTLEMENTS)][(page - 1) * size : page * size]
        pages = {"total_page": -(-SETTLEMENTS // size), "current_page": page, "total_size": SETTLEMENTS}
        return pages | {"data": [_settled_rate(instrument, at) for at in times]}


def _error(code: int, text: str) -> dict[str, Any]:
    return {"status": "error", "err_code": code, "err_msg": text}


def _names(instrument: SimulatedInstrument) -> dict[str, Any]:
    code = instrument.listing.exchange_symbol
    return {"symbol": instrument.listing.underlying, "contract_code": code, "pair": code, "business_type": "swap"}


def _settled_rate(instrument: SimulatedInstrument, at_ms: int) -> dict[str, Any]:
    listing, rate = instrument.listing, instrument.funding.settled(at_ms)
    return {
        "avg_premium_index": f"{rate:.18f}",
        "funding_rate": f"{rate:.18f}",
        "realized_rate": None,
        "funding_time": str(at_ms),
        "contract_code": listing.exchange_symbol,
        "symbol": listing.underlying,
        "fee_asset": listing.quote,
    }
