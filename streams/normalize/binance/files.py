"""Parse lines of Binance's public data files: docs/protocols/binance.md §2.8. A body is the text of some lines.

Spot's times have been in microseconds since 2025; those of futures are in milliseconds. Some files begin with a header.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from schemas.errors import FrameError
from schemas.instruments import Instrument
from streams.normalize.binance.history import Context, candle, made_trade
from streams.normalize.messages import Candle, Normalized, Trade
from streams.normalize.rows import read_rows

_MAKERS = {"true": True, "false": False}

Parameters = dict[str, str]


def _reader(read: Callable[[list[str], Context], Normalized]) -> Callable[..., list[Normalized]]:
    def normalize(body: bytes, parameters: Parameters, instrument: Instrument, now: int) -> list[Normalized]:
        text = orjson.loads(body)
        if type(text) is not str:
            raise FrameError("malformed: not lines of text")
        rows = [line.split(",") for line in text.split("\n")]
        if not rows[0][0].isdecimal():
            del rows[0]  # the header
        return read_rows(read, rows, Context(parameters, instrument), orjson.dumps(rows))

    return normalize


def _trade(row: list[str], context: Context) -> Trade:
    number, price, amount, _, time, is_maker, *_ = row
    return made_trade(context.instrument, int(number), price, amount, int(time), _is_maker(is_maker))


def _aggregated(row: list[str], context: Context) -> Trade:
    number, price, amount, _, _, time, is_maker, *_ = row
    return made_trade(context.instrument, int(number), price, amount, int(time), _is_maker(is_maker))


def _is_maker(text: str) -> bool:
    if (found := _MAKERS.get(text.lower())) is None:
        raise FrameError(f"not a side: {text!r:.60}")
    return found


def _kline(row: list[str], context: Context) -> Candle:
    fields: list[Any] = [int(row[0]), *row[1:8], int(row[8]), *row[9:]]
    return candle(fields, context)


FILES: Mapping[str, Callable[[bytes, Parameters, Instrument, int], list[Normalized]]] = {
    "files/trades": _reader(_trade),
    "files/aggTrades": _reader(_aggregated),
    "files/klines": _reader(_kline),
}
"""By path; each takes the body, the request's parameters, the instrument and the receipt time (µs)."""
