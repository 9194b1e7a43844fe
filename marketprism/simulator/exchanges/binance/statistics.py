"""What the simulated futures of Binance offer by REST alone: docs/protocols/binance.md §2.5, §2.7."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from marketprism.simulator.exchanges.binance import figures
from marketprism.simulator.exchanges.binance.candles import INTERVALS
from marketprism.simulator.exchanges.binance.requests import INVALID, RejectedRequest, number, parameter
from marketprism.simulator.exchanges.binance.rest import BinanceRest
from marketprism.simulator.market.funding import next_funding_at
from marketprism.simulator.market.instrument import SimulatedInstrument
from marketprism.simulator.market.intervals import DAY_MS, HOUR_MS
from marketprism.simulator.server.connection import now_ms
from marketprism.simulator.server.request_windows import RequestWindow

_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
_KEPT_MS = 30 * DAY_MS  # for which statistics are kept
_FUNDING_MS = 8 * HOUR_MS
# Names in the paths, whose shares they are, and of what.
_SHARES = {
    "topLongShortAccountRatio": ("top accounts", "Account"),
    "topLongShortPositionRatio": ("top positions", "Position"),
    "globalLongShortAccountRatio": ("all accounts", "Account"),
}

Rows = Callable[[web.Request], Any]
Row = Callable[[SimulatedInstrument, str, int], dict[str, Any]]


class Statistics:
    """Open interest, settled funding rates, long/short ratios and taker volumes, each with its limit."""

    def __init__(self, server: BinanceRest, by_pair: bool) -> None:
        """`by_pair`: long/short ratios and taker volumes are of pairs (COIN-M)."""
        self._server = server
        self._by_pair = by_pair
        self._data, self._funding = RequestWindow(1000, 300), RequestWindow(500, 300)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of requests."""
        prefix = self._server.prefix
        takers = "takerBuySellVol" if self._by_pair else "takerlongshortRatio"
        rows: dict[str, Row] = {name: partial(self._shares, *what) for name, what in _SHARES.items()}
        rows |= {takers: self._takers, "openInterestHist": self._past_interest}
        return [
            web.get(f"{prefix}/openInterest", self._answering(None, self._open_interest)),
            web.get(f"{prefix}/fundingRate", self._answering(self._funding, self._funding_rates)),
            *(
                web.get(f"/futures/data/{name}", self._answering(self._data, partial(self._periods, row)))
                for name, row in rows.items()
            ),
        ]

    def _answering(self, window: RequestWindow | None, rows: Rows) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            if rejection := self._server.spend(1, window):
                return rejection
            try:
                return self._server.json(rows(request))
            except RejectedRequest as error:
                return self._server.error(error.code, str(error))

        return answer

    def _open_interest(self, request: web.Request) -> dict[str, Any]:
        instrument, now = self._server.named(parameter(request, "symbol")), now_ms()
        answer = figures.open_interest(instrument, now)
        if self._by_pair:
            row = self._server.symbol_info(instrument.listing)
            answer |= {name: row[name] for name in ("pair", "contractType")}
        return answer

    def _funding_rates(self, request: web.Request) -> list[dict[str, Any]]:
        instrument = self._server.named(parameter(request, "symbol"))
        if not instrument.funding.is_perpetual:
            return []
        last = next_funding_at(now_ms()) - _FUNDING_MS
        times = _requested(request, range(last - 2000 * _FUNDING_MS, last + 1, _FUNDING_MS), 100, 1000)
        rows = [figures.funding_row(instrument, each) for each in times]
        if self._by_pair:
            return rows
        listing, past = instrument.listing, instrument.past
        more = ({"markPrice": listing.price_text(past.price(at)), "rateType": "Regular"} for at in times)
        return [row | each for row, each in zip(rows, more, strict=True)]

    def _periods(self, row: Row, request: web.Request) -> list[dict[str, Any]]:
        """Return a row for each period that has ended, oldest first."""
        name = parameter(request, "pair" if self._by_pair else "symbol")
        instrument = self._server.named(f"{name}_PERP" if self._by_pair else name)
        period = parameter(request, "period")
        if period not in _PERIODS:
            raise RejectedRequest(INVALID, "period")
        start, end = INTERVALS[period](now_ms())
        starts = range(start - _KEPT_MS, start, end - start)
        return [row(instrument, period, each) for each in _requested(request, starts, 30, 500)]

    def _shares(
        self, whose: str, what: str, instrument: SimulatedInstrument, period: str, at_ms: int
    ) -> dict[str, Any]:
        shares = instrument.positions.shares(instrument.listing.symbol, f"{whose} {period}", at_ms)
        # Only COIN-M calls the shares of positions so.
        return figures.shares_row(self._subject(instrument), shares, what if self._by_pair else "Account", at_ms)

    def _past_interest(self, instrument: SimulatedInstrument, period: str, at_ms: int) -> dict[str, Any]:
        subject, found = self._subject(instrument), instrument.positions.open_interest(at_ms)
        figures_of = (found.own, found.base) if self._by_pair else (found.base, found.quote)
        names = ("sumOpenInterest", "sumOpenInterestValue")
        return (
            subject
            | {name: f"{value:.8f}" for name, value in zip(names, figures_of, strict=True)}
            | {"timestamp": at_ms}
        )

    def _takers(self, instrument: SimulatedInstrument, period: str, at_ms: int) -> dict[str, Any]:
        volumes = instrument.positions.taker_volumes(instrument.listing.symbol, f"takers {period}", at_ms)
        if not self._by_pair:
            return figures.takers_row(volumes, at_ms)
        return figures.pair_takers_row(self._subject(instrument)["pair"], "PERPETUAL", volumes, at_ms)

    def _subject(self, instrument: SimulatedInstrument) -> dict[str, str]:
        row = self._server.symbol_info(instrument.listing)
        return {name: row[name] for name in (["pair"] if self._by_pair else ["symbol"])}


def _requested(request: web.Request, times: range, limit: int, most: int) -> list[int]:
    """Return the times within the requested bounds: the first ones from a start, or else the last ones."""
    count = number(request, "limit", limit, most)
    start, end = number(request, "startTime", times.start), number(request, "endTime", times.stop)
    found = [each for each in times if start <= each <= end]
    return found[:count] if "startTime" in request.query else found[-count:]
