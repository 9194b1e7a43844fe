"""Deribit's methods that return data, of REST and of the WebSocket alike (docs/protocols/deribit.md §6.6)."""

from collections.abc import Callable, Mapping
from typing import Any

from marketprism.simulator.exchanges.deribit import figures, frames
from marketprism.simulator.exchanges.deribit.board import DeribitBoard
from marketprism.simulator.exchanges.deribit.charts import interval_of
from marketprism.simulator.exchanges.deribit.control import RpcError, invalid_param
from marketprism.simulator.market.intervals import HOUR_MS
from marketprism.simulator.market.listings import Listing
from marketprism.simulator.server.connection import now_ms
from marketprism.simulator.server.exchange_server import ExchangeServer
from schemas.exchanges.deribit import RESOLUTIONS

_DEPTHS = ("1", "5", "10", "20", "50", "100", "1000", "10000")
_CURRENCIES = ("BTC", "ETH", "USDC", "USDT", "EURR", "any")
_MOST_HOURS, _MOST_CANDLES, _MOST_TRADES = 744, 5000, 1000  # rows of one answer

Params = dict[str, Any]


class Methods:
    """The methods of one server. `boards`: by the exchange's names of the instruments."""

    def __init__(self, server: ExchangeServer, boards: Mapping[str, DeribitBoard]) -> None:
        self._server = server
        self._boards = boards
        self._by_name: dict[str, Callable[[Params], Any]] = {
            "public/get_time": lambda params: now_ms(),
            "public/test": lambda params: {"version": "1.2.26"},
            "public/status": lambda params: {"locked": "false", "locked_indices": []},
            "public/get_instruments": self._instruments,
            "public/get_instrument": lambda params: self.row(self._board(params).instrument.listing),
            "public/get_order_book": self._order_book,
            "public/get_funding_rate_history": self._funding_rate_history,
            "public/get_tradingview_chart_data": self._chart,
            "public/get_last_trades_by_instrument": self._trades,
        }

    def result(self, method: str, params: Params) -> Any:
        """Return a method's result; raise `RpcError`."""
        if method not in self._by_name:
            raise RpcError(-32601, "Method not found")
        return self._by_name[method](params)

    def row(self, listing: Listing) -> dict[str, Any]:
        """Return an instrument's definition."""
        return frames.instrument_row(listing, list(self._boards).index(listing.exchange_symbol) + 1)

    def _board(self, params: Params) -> DeribitBoard:
        board = self._boards.get(str(params.get("instrument_name")))
        if board is None:
            raise invalid_param("instrument_name", "wrong format")
        return board

    def _instruments(self, params: Params) -> list[dict[str, Any]]:
        currency, kind = params.get("currency"), params.get("kind")
        if currency not in _CURRENCIES:
            raise invalid_param("currency", "wrong format")
        rows = self._server.entries(self.row)
        return [row for row in rows if kind in (None, row["kind"]) and _has_currency(row, currency)]

    def _order_book(self, params: Params) -> dict[str, Any]:
        board, depth = self._board(params), str(params.get("depth", "5"))
        if depth not in _DEPTHS:
            raise invalid_param("depth", "wrong format")
        return frames.order_book(board.instrument, int(depth), board.changed_at)

    def _funding_rate_history(self, params: Params) -> list[dict[str, Any]]:
        instrument = self._board(params).instrument
        if not instrument.funding.is_perpetual:
            raise invalid_param("instrument_name", "must be a perpetual")
        start, end = _time(params, "start_timestamp"), _time(params, "end_timestamp")
        last = min(end, self._server.now_ms()) // HOUR_MS
        first = max(-(-start // HOUR_MS), last - _MOST_HOURS + 1)
        return [figures.interest_row(instrument, hour * HOUR_MS) for hour in range(first, last + 1)]

    def _chart(self, params: Params) -> dict[str, Any]:
        candles, resolution, now = (
            self._board(params).instrument.candles,
            params.get("resolution"),
            self._server.now_ms(),
        )
        if resolution not in RESOLUTIONS.values():
            raise invalid_param("resolution", "wrong format")
        start, end = _time(params, "start_timestamp"), _time(params, "end_timestamp")
        found = candles.first(interval_of(str(resolution)), start, end, _MOST_CANDLES, now)
        return figures.chart(found)

    def _trades(self, params: Params) -> dict[str, Any]:
        instrument, count = self._board(params).instrument, _whole(params, "count", 10)
        if not 1 <= count <= _MOST_TRADES:
            raise invalid_param("count", "must be between 1 and 1000")
        tape = instrument.tape
        first = _whole(params, "start_seq", tape.first_at(_whole(params, "start_timestamp", 0)))
        end, last = _whole(params, "end_timestamp", self._server.now_ms()), _whole(params, "end_seq", tape.last)
        if params.get("sorting") == "asc":
            found = tape.trades(first, count + 1)
        else:
            found = tape.trades(max(first, last - count), count + 1)[::-1]
        found = [trade for trade in found if trade.at_ms <= end and trade.number <= last]
        rows = [frames.past_trade_row(instrument, trade) for trade in found[:count]]
        return {"trades": rows, "has_more": len(found) > count}


def _whole(params: Params, name: str, default: int) -> int:
    text = str(params.get(name, default))
    if not text.isdecimal():
        raise invalid_param(name, "wrong format")
    return int(text)


def _time(params: Params, name: str) -> int:
    text = str(params.get(name))
    if not text.isdecimal():
        raise invalid_param(name, "value required")
    return int(text)


def _has_currency(row: dict[str, Any], currency: Any) -> bool:
    if currency == "any":
        return True
    pair = (row["base_currency"], row["quote_currency"])
    return currency in (pair if row["kind"] == "spot" else (row["settlement_currency"],))
