"""The REST interface of the simulated OKX (docs/protocols/okx.md §3.6). Requests are limited by their number in 2 s."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from aiohttp import web

from marketprism.simulator.exchanges.okx import frames
from marketprism.simulator.exchanges.okx.answers import Rejected, answer, bound, error_answer, whole_number
from marketprism.simulator.exchanges.okx.board import OkxBoard
from marketprism.simulator.exchanges.okx.definitions import instrument_row, instrument_type
from marketprism.simulator.exchanges.okx.figures import decimal_text
from marketprism.simulator.exchanges.okx.history import PAST, PastRows
from marketprism.simulator.market.funding import INTERVAL_HOURS, next_funding_at
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import DAY_MS, HOUR_MS, MINUTE_MS
from marketprism.simulator.market.positions import Positions
from marketprism.simulator.server.connection import Limits, now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer, json_response

INSTRUMENT_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")

_STATISTICS = "/api/v5/rubik/stat"
_CONTRACTS = f"{_STATISTICS}/contracts"
_PERIODS_MS = {"5m": 5 * MINUTE_MS, "1H": HOUR_MS, "1D": DAY_MS}
_ROWS = {"5m": 576, "1H": 720, "1D": 180}
_RATIO_QUANTUM = Decimal("0.0001")
_FUNDING_HISTORY_MS = 90 * DAY_MS


class OkxRest(ExchangeServer):
    """What of the exchange is served by REST."""

    def __init__(self, feed: str, instruments: list[SimulatedInstrument], limits: Limits) -> None:
        super().__init__(feed, instruments, limits)
        self.boards = {
            instrument.listing.exchange_symbol: OkxBoard(self, instrument, 3 * rank)
            for rank, instrument in enumerate(instruments)
        }
        self._requests: dict[str, deque[float]] = {}  # times of recent REST requests, by endpoint

    def rest_routes(self) -> list[web.RouteDef]:
        """Return the paths of REST requests."""
        return [
            web.get("/api/v5/public/time", self._time),
            web.get("/api/v5/public/instruments", self._instruments),
            web.get("/api/v5/market/books", self._market_books),
            web.get("/api/v5/public/funding-rate-history", self._funding_history),
            *(web.get(path, partial(self._of_past, rows=rows)) for path, rows in PAST.items()),
            *(web.get(path, partial(self._of_instrument, row=row)) for path, row in _INSTRUMENT_STATISTICS.items()),
            *(web.get(path, partial(self._of_currency, row=row)) for path, row in _CURRENCY_STATISTICS.items()),
        ]

    def rate_limited(self, status: int, retry_after: int) -> web.Response:
        return json_response({"code": "50011", "msg": "Too Many Requests", "data": []}, 429)

    def _count_request(self, endpoint: str, limit: int) -> web.Response | None:
        """Count a request; return the error response if there were more than `limit` within 2 s."""
        if not exceeds_limit(self._requests.setdefault(endpoint, deque()), limit, 2.0):
            return None
        return self.rate_limited(429, 1)

    async def _time(self, request: web.Request) -> web.Response:
        return self._count_request("time", 10) or answer([{"ts": str(now_ms())}])

    async def _instruments(self, request: web.Request) -> web.Response:
        kind = request.query.get("instType", "")
        if rejection := self._count_request(f"instruments:{kind}", 20):
            return rejection
        family, name = request.query.get("instFamily"), request.query.get("instId")
        if kind not in INSTRUMENT_TYPES:
            return error_answer("51000", "Parameter instType error")
        if kind == "OPTION" and family is None:
            return error_answer("50015", "Either parameter uly or instFamily is required")
        rows = [
            row
            for row in self.entries(instrument_row)
            if row["instType"] == kind and name in (None, row["instId"]) and family in (None, row["instFamily"])
        ]
        if name is not None and not rows:
            return error_answer("51001", "Instrument ID doesn't exist.", 200)
        return answer(rows)

    async def _market_books(self, request: web.Request) -> web.Response:
        if rejection := self._count_request("books", 40):
            return rejection
        board = self.boards.get(request.query.get("instId", ""))
        if board is None:
            return error_answer("51001", "Instrument ID doesn't exist.", 200)
        size = request.query.get("sz", "1")
        if not size.isdigit() or not 1 <= int(size) <= 400:
            return error_answer("51000", "Parameter sz error")
        bids, asks = board.top(int(size))
        return answer([frames.rest_book(bids, asks, board.instrument.book.sequence, self.now_ms())])

    async def _of_past(self, request: web.Request, rows: PastRows) -> web.Response:
        if rejection := self._count_request(request.path, 20):
            return rejection
        try:
            return answer(rows(self._instrument(request.query), request.query, self.now_ms()))
        except Rejected as error:
            return error_answer(error.code, str(error), 200)

    async def _funding_history(self, request: web.Request) -> web.Response:
        """Serve the settled rates. The forecasts beside them are invented."""
        name = request.query.get("instId", "")
        if rejection := self._count_request(f"{request.path}:{name}", 10):
            return rejection
        try:
            funding, now = self._instrument(request.query, "SWAP").funding, self.now_ms()
            count = whole_number(request.query, "limit", 400)
            after, before = bound(request.query, "after", now + 1), bound(request.query, "before", 0)
        except Rejected as error:
            return error_answer(error.code, str(error), 200)
        interval = INTERVAL_HOURS * HOUR_MS
        last = next_funding_at(now) - interval
        rows = [
            {
                "formulaType": "withRate",
                "fundingRate": decimal_text(funding.mean_rate),
                "fundingTime": str(at),
                "instId": name,
                "instType": "SWAP",
                "method": "current_period",
                "realizedRate": decimal_text(funding.settled(at)),
            }
            for at in range(last, now - _FUNDING_HISTORY_MS, -interval)
            if before < at < after
        ]
        return answer(rows[:count])

    # Statistics, with a row for the running period too

    async def _of_instrument(self, request: web.Request, row: "_Row") -> web.Response:
        name = request.query.get("instId", "")
        if rejection := self._count_request(f"{request.path}:{name}", 5):
            return rejection
        try:
            positions = self._instrument(request.query, "SWAP", "FUTURES").positions
            count, rows = (
                whole_number(request.query, "limit", 100),
                self._rows(request, partial(row, positions, name), 1440),
            )
            begin, end = (bound(request.query, each, at) for each, at in (("begin", 0), ("end", self.now_ms())))
            return answer([each for each in rows if begin <= int(each[0]) <= end][:count])
        except Rejected as error:
            return error_answer(error.code, str(error), 200)

    async def _of_currency(self, request: web.Request, row: "_Row") -> web.Response:
        name = request.query.get("ccy", "")
        if rejection := self._count_request(request.path, 5):
            return rejection
        found = [each for each in self.instruments.values() if each.listing.underlying == name]
        if not found:
            return error_answer("51000", "Parameter ccy error", 200)
        try:
            return answer(self._rows(request, partial(row, found[0].positions, name)))
        except Rejected as error:
            return error_answer(error.code, str(error), 200)

    def _rows(
        self, request: web.Request, row: Callable[[str, int], list[str]], kept: int | None = None
    ) -> list[list[str]]:
        """Return all rows, newest first. `kept`: their number, if it is not that of a currency."""
        period = request.query.get("period", "5m")
        if period not in _PERIODS_MS:
            raise Rejected("51000", "Parameter period error")
        length = _PERIODS_MS[period]
        newest = self.now_ms() // length * length
        return [[str(at), *row(period, at)] for at in range(newest, newest - (kept or _ROWS[period]) * length, -length)]

    def _instrument(self, query: Mapping[str, str], *kinds: str) -> SimulatedInstrument:
        board = self.boards.get(query.get("instId", ""))
        if board is None or (kinds and instrument_type(board.instrument.listing) not in kinds):
            raise Rejected("51001", "Instrument ID doesn't exist.")
        return board.instrument


_Row = Callable[[Positions, str, str, int], list[str]]  # of positions, name, period, and its start in ms


def ratio_row(scope: str, positions: Positions, name: str, period: str, at: int) -> list[str]:
    """Return longs by shorts."""
    longs, shorts = positions.shares(name, f"{scope} {period}", at)
    return [decimal_text((longs / shorts).quantize(_RATIO_QUANTUM))]


def volume_row(positions: Positions, name: str, period: str, at: int) -> list[str]:
    """Return what takers sold and bought."""
    bought, sold = positions.taker_volumes(name, f"taker_volume {period}", at)
    return [decimal_text(sold), decimal_text(bought)]


def interest_row(positions: Positions, name: str, period: str, at: int) -> list[str]:
    """Return the open interest in contracts, in coins and in dollars."""
    found = positions.open_interest(at)
    return [decimal_text(value) for value in (found.own, found.base, found.quote)]


_INSTRUMENT_STATISTICS: dict[str, _Row] = {
    f"{_CONTRACTS}/long-short-account-ratio-contract-top-trader": partial(ratio_row, "top_accounts"),
    f"{_CONTRACTS}/long-short-position-ratio-contract-top-trader": partial(ratio_row, "top_positions"),
    f"{_CONTRACTS}/long-short-account-ratio-contract": partial(ratio_row, "all_accounts"),
    f"{_STATISTICS}/taker-volume-contract": volume_row,
    f"{_CONTRACTS}/open-interest-history": interest_row,
}
_CURRENCY_STATISTICS: dict[str, _Row] = {
    f"{_CONTRACTS}/long-short-account-ratio": partial(ratio_row, "all_accounts"),
    f"{_STATISTICS}/taker-volume": volume_row,
}


def exceeds_limit(times: deque[float], limit: int, seconds: float) -> bool:
    """Count one more, and return whether there were more than `limit` within the last `seconds`."""
    now = time.monotonic()
    times.append(now)
    while now - times[0] > seconds:
        times.popleft()
    return len(times) > limit
