"""What the tests of polls share: a connector with polls of every sort, and a writer that keeps the markers."""

from collections.abc import Callable
from typing import NamedTuple

import orjson

from ingest.exchanges.binance import BinanceUsdm
from ingest.exchanges.polls import PollRow
from ingest.raw_writer import RawWriter
from ingest.rest import Rest
from schemas.instruments import Instrument, assumed_instrument
from schemas.markers import Answer, Markers

START = 1_790_000_100.0  # the end of a period of 5 minutes
PERIODS = {"open_interest": 60.0, "account_ratios": 300.0, "currency_taker_volumes": 300.0, "funding_history": 3600.0}


def rows_of(body: bytes) -> list[int]:
    """Return the times of a body's rows, ms: `[[1790000000000], …]`."""
    return [row[0] for row in orjson.loads(body)]


def limit(count: int) -> dict[str, str]:
    return {"limit": str(count)}


def newest(body: bytes) -> int:
    return max(rows_of(body), default=0)


def by_symbol(name: str) -> dict[str, str]:
    return {"symbol": name}


class Polled(BinanceUsdm):
    """Connector with a poll of every sort: current values, a history, one by currency, one of many periods."""

    polls = {  # noqa: RUF012 - as in all connectors
        "open_interest": PollRow("/current", by_symbol, ("open_interest",)),
        "account_ratios": PollRow(
            "/ratios", by_symbol, ("long_short_ratios",), of=("perp",), most=30, row_s=300.0, rows=limit,
            newest=newest, lag_s=5.0,
        ),
        "currency_taker_volumes": PollRow(
            "/volumes", lambda name: {"ccy": name}, ("long_short_ratios",), subject="currency", most=30, rows=limit,
            newest=newest,
        ),
        "funding_history": PollRow("/funding", by_symbol, ("funding",), most=10, rows=limit, newest=newest),
    }  # fmt: skip


def polled(*channels: str) -> Polled:
    """Return a connector that polls these channels."""
    return Polled((), channels=channels)


def perp(base: str) -> Instrument:
    return assumed_instrument("binance-usdm", "binance", f"{base}-USDT-PERP")


class Written(NamedTuple):
    """A marker, when it was written (µs since the epoch), and under which key."""

    at: int
    key: str
    marker: Markers


class Markings(RawWriter):
    """Writer that keeps all markers in `written`, those of a clean stop at the end."""

    def __init__(self) -> None:
        self.is_stopping = True
        self.written: list[Written] = []

    def write_marker(self, local_timestamp: int, key: str, marker: Markers) -> None:
        self.written.append(Written(local_timestamp // 1000, key, marker))

    def of(self, kind: type[Markers]) -> list[Written]:
        return [each for each in self.written if isinstance(each.marker, kind)]

    @property
    def answers(self) -> list[tuple[int, str, Answer]]:
        return [(each.at, each.key, each.marker) for each in self.written if isinstance(each.marker, Answer)]


class Answering(Rest):
    """REST client that answers with `answer(path, params)`, which may raise. `requested`: what it was asked for."""

    def __init__(self, answer: Callable[[str, dict[str, str]], bytes]) -> None:
        self.answer = answer
        self.requested: list[tuple[str, dict[str, str]]] = []

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        self.requested.append((path, params))
        return self.answer(path, params)
