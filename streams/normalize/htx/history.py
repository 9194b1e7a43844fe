"""Parse what HTX's REST APIs hold of the past (docs/protocols/htx.md §4.6, §5.6)."""

from collections.abc import Callable, Mapping
from typing import Any

from orjson import dumps as encode

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.htx.figures import READERS, total
from streams.normalize.htx.trading import trade
from streams.normalize.messages import Normalized, Reading
from streams.normalize.numbers import check_name, exact, micros, number, positive
from streams.normalize.rows import read_rows

Parameters = dict[str, str]


def answer_of(body: bytes, parameters: Parameters, instrument: Instrument) -> dict[str, Any]:
    """Return the JSON of an answer about an instrument. Errors come with HTTP status 200 too."""
    answer: dict[str, Any] = exact(body)
    if answer["status"] != "ok":
        error = answer.get("err-msg", answer.get("err_msg", answer))
        raise FrameError(f"the exchange reports an error: {error!s:.200}")
    check_name(parameters["symbol"] if "symbol" in parameters else parameters["contract_code"], instrument)
    return answer


def _candles(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    read, rows = READERS[f"kline.{parameters['period']}"], answer_of(body, parameters, instrument)["data"]
    return read_rows(lambda row, context: read(row, now, context), rows, instrument, body, "data")


def _trades(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    """Return the trades of an answer, whose rows are batches of them."""
    rows = [row for batch in answer_of(body, parameters, instrument)["data"] for row in batch["data"]]
    return read_rows(_trade, rows, instrument, encode(rows))


def _trade(row: dict[str, Any], instrument: Instrument) -> Normalized:
    # REST spells the id of spot trades with a hyphen.
    return trade(row | {"tradeId": row["trade-id"]} if "trade-id" in row else row, instrument)


def _mark_prices(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    return read_rows(_mark_price, answer_of(body, parameters, instrument)["data"], None, body, "data")


def _mark_price(row: dict[str, Any], context: None) -> Reading:
    """Read a candle of the mark price, of which the first price is that of its start."""
    return Reading("market.mark_prices", "", micros(row["id"] * 1000), {"mark_price": positive(number(row["open"]))})


def _open_interest(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
    rows = answer_of(body, parameters, instrument)["data"]["tick"]
    return read_rows(_interest, rows, None, body, "data", "tick")


def _interest(row: dict[str, Any], context: None) -> Reading:
    if row["amount_type"] != 2:
        raise FrameError(f"not in coins: amount_type {row['amount_type']!r:.20}")
    fields = {"amount": total(row["volume"]), "value": total(row["value"])}
    return Reading("market.open_interest", "", micros(row["ts"]), fields)


HISTORY: Mapping[str, Callable[[bytes, Parameters, Instrument, int], list[Normalized]]] = {
    "/market/history/kline": _candles,
    "/linear-swap-ex/market/history/kline": _candles,
    "/market/history/trade": _trades,
    "/linear-swap-ex/market/history/trade": _trades,
    "/index/market/history/linear_swap_mark_price_kline": _mark_prices,
    "/linear-swap-api/v1/swap_his_open_interest": _open_interest,
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
