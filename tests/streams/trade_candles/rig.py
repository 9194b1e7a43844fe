"""An instrument whose trades become candles, driven by seconds of its own time."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

from schemas import markers
from schemas.events import EVENTS
from schemas.instruments import Instrument
from schemas.settings import load_settings
from streams.instrument_processor import InstrumentProcessor
from streams.normalize.messages import Candle, Trade
from streams.output import Output
from tests.frames.binance import SPOT

SECOND = 1_000_000  # µs
DAY = 1_790_035_200 * SECOND  # a midnight of UTC
Body = dict[str, Any]


def trade(
    second: float, price: str = "10", amount: str = "1", side: str = "buy", number: int = -1, **fields: Any
) -> Trade:
    """Return a trade at a time of the day. Without a number, it has an id that only grows."""
    at = round(second * SECOND)
    unique = str(at if number < 0 else number)
    return Trade(DAY + at, unique, price, amount, side, first=number, last=number, **fields)


def kline(start: float, seconds: int, interval: str, **fields: Any) -> Candle:
    """Return a closed candle of the exchange. Of the figures, those that are given are published."""
    begin = DAY + round(start * SECOND)
    prices = {"open": "10", "high": "10", "low": "10", "close": "10"}
    end = begin + seconds * SECOND
    return Candle(f"candles_{interval}", end, interval, begin, end, **(prices | fields), closed=True)


def bodies(found: Iterable[tuple[str, Body]], topic: str, **fields: Any) -> list[Body]:
    """Return the events of a topic that have these values."""
    return [
        body for name, body in found if name == topic and all(body[field] == value for field, value in fields.items())
    ]


class Rig:
    """One instrument. Its methods take the time of receipt in seconds of the day."""

    def __init__(self, instrument: Instrument = SPOT, begins: float | None = -1, **settings: Any) -> None:
        """`begins`: when trades are subscribed to; None: they are not."""
        self.settings = load_settings(**settings)
        self.processor = InstrumentProcessor(instrument, self.settings)
        self.found: list[tuple[str, Body]] = []
        self.values: list[bytes] = []
        self._line = 0
        if begins is not None:
            self.marker(begins, markers.Connected(channels=["trades"]))
            self.marker(begins, markers.Subscribed(channels=["trades"]))

    def trades(self, second: float, *trades: Trade) -> None:
        out = self._out(second)
        for each in trades:
            self.processor.trades.on_trade(out, each)
        self._take(out)

    def klines(self, second: float, *candles: Candle) -> None:
        out = self._out(second)
        for each in candles:
            self.processor.candles.on_candle(out, each)
        self._take(out)

    def marker(self, second: float, marker: markers.Markers) -> None:
        out = self._out(second)
        self.processor.on_marker(out, marker)
        self._take(out)

    def tick(self, second: float) -> None:
        out = self._out(second)
        self.processor.on_tick(out)
        self._take(out)

    def ticks(self, first: int, last: int) -> None:
        for second in range(first, last + 1):
            self.tick(second)

    def restart(self) -> None:
        """Go on from a checkpoint."""
        self.processor = InstrumentProcessor.load(self.processor.dump(), self.settings)

    def _out(self, second: float) -> Output:
        out = Output(1)
        self._line += 1
        out.begin("binance:0:1", self._line, DAY + round(second * SECOND))
        return out

    def _take(self, out: Output) -> None:
        for topic, _, value in out.records:
            body = orjson.loads(value)
            EVENTS[topic].model_validate(body)
            self.found.append((topic, body))
            self.values.append(value)

    # What was published

    def bodies(self, topic: str, **fields: Any) -> list[Body]:
        """Return the events of a topic that have these values."""
        return bodies(self.found, topic, **fields)

    def candles(self, interval: str, closed: bool = True) -> list[Body]:
        """Return the candles of trades of one interval."""
        return self.bodies("market.candles", origin="trades", interval=interval, closed=closed)

    def starts(self, interval: str) -> list[float]:
        """Return the starts of the closed candles, in seconds of the day."""
        return [(body["start"] - DAY) / SECOND for body in self.candles(interval)]

    def differences(self) -> list[Body]:
        return self.bodies("market.quality", type="difference")

    def counts(self, interval: str) -> tuple[int, int, int]:
        """Return how many candles of an interval agreed and differed, and how many trades were late."""
        reports = self.bodies("market.quality", type="report", interval=interval)
        return (
            sum(body["agreed"] for body in reports),
            sum(body["differed"] for body in reports),
            sum(body["late"] for body in reports),
        )


def brute_force(trades: list[Trade], seconds: int) -> dict[int, Body]:
    """Return the figures of the candles of trades by their start, computed in decimals."""
    groups: dict[int, list[Trade]] = {}
    for each in trades:
        groups.setdefault(each.timestamp // (seconds * SECOND) * seconds * SECOND, []).append(each)
    return {
        start: _figures(sorted(group, key=lambda each: (each.timestamp, each.last))) for start, group in groups.items()
    }


def _figures(trades: list[Trade]) -> Body:
    prices = [Decimal(each.price) for each in trades]
    values = [Decimal(each.price) * Decimal(each.amount) for each in trades]
    bought = [each.side == "buy" for each in trades]
    return {
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "close": prices[-1],
        "volume": sum((Decimal(each.amount) for each in trades), Decimal(0)),
        "quote_volume": sum(values, Decimal(0)),
        "trades": len(trades),
        "taker_buy_volume": sum((Decimal(each.amount) for each in trades if each.side == "buy"), Decimal(0)),
        "taker_buy_quote_volume": sum((v for v, is_buy in zip(values, bought, strict=True) if is_buy), Decimal(0)),
    }


def figures(body: Body) -> Body:
    """Return the figures of an event as decimals."""
    names = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
    return {name: Decimal(body[name]) for name in names} | {"trades": body["trades"]}
