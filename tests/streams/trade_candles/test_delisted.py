"""An instrument that is listed again: its processor is new, and what was closed before stays closed."""

from collections import Counter

import orjson
import pytest

from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from streams.trade_candles.delisted import Delisted
from tests.frames import binance, line, marker, tick
from tests.streams.trade_candles.rig import Body

SETTINGS = load_settings()
KEY = "binance:BTC-USDT"
T0_SECOND = 1_790_000_000  # 20 s after a minute
CHANNELS = {"channels": ["trades"]}


class Partition:
    """One raw partition. `candles`: the closed ones of trades. Times are seconds after the start."""

    def __init__(self) -> None:
        self.worker = RawProcessor("binance", 0, SETTINGS)
        self.candles: list[Body] = []
        self._number = self._traded = 0

    def take(self, record: bytes) -> None:
        self._number += 1
        for topic, _, value in self.worker.process(self._number, record).records:
            body = orjson.loads(value)
            if topic == "market.candles" and body["closed"]:
                self.candles.append(body)

    def listed(self, second: float) -> None:
        self.take(marker(KEY, "instrument", second * 1000, **binance.SPOT.model_dump()))
        self.take(marker(KEY, "connected", second * 1000, **CHANNELS))
        self.take(marker(KEY, "subscribed", second * 1000, **CHANNELS))

    def delisted(self, second: float) -> None:
        self.take(marker(KEY, "delisted", second * 1000, reason="renamed"))

    def trades(self, first: int, last: int, step: int = 1) -> None:
        """Trade in every `step`-th second, with a tick after each."""
        for second in range(first, last, step):
            at = T0_SECOND * 1000 + second * 1000 + 500
            self._traded += 1
            self.take(line(KEY, binance.trade(t=self._traded, T=at), second * 1000 + 600))
            self.take(tick("binance", second * 1000 + 1000))

    def restart(self) -> None:
        """Go on from a checkpoint."""
        entries = {key: self.worker.dump(key) for key in (*self.worker.entries, self.worker.own_key)}
        self.worker = RawProcessor("binance", 0, SETTINGS)
        for key, entry in entries.items():
            self.worker.load(key, entry)

    def of(self, interval: str) -> list[tuple[int, int, bool]]:
        """Return start, number of trades and completeness of each candle."""
        return [
            (body["start"] // 1_000_000 - T0_SECOND, body["trades"], body["complete"])
            for body in self.candles
            if body["interval"] == interval
        ]


@pytest.mark.parametrize("restarts", [False, True])
def test_no_candle_is_closed_twice(restarts: bool) -> None:
    """Those that the delisting has closed stay; those that begin later are made again, and are complete."""
    partition = Partition()
    partition.listed(0)
    partition.trades(0, 30)
    partition.delisted(30.1)
    if restarts:
        partition.restart()
    partition.listed(30.2)
    partition.trades(30, 170)
    if restarts:
        partition.restart()
    partition.delisted(170.1)
    partition.listed(170.2)
    partition.trades(171, 7_300, 10)
    closed = Counter((body["interval"], body["start"]) for body in partition.candles)
    assert set(closed.values()) == {1}
    assert partition.of("1m")[:3] == [(-20, 30, False), (40, 60, True), (100, 60, True)]
    assert partition.of("1m")[3:5] == [(160, 10, False), (220, 6, True)]
    assert [start for start, _, _ in partition.of("5m")][:2] == [-200, 100]
    assert [start for start, _, _ in partition.of("1h")] == [-800, 2_800]
    assert [trades for _, trades, _ in partition.of("1d")] == [30]


def test_what_is_remembered_is_bounded() -> None:
    """By number, and by the time at which the candles would have ended."""
    delisted = Delisted()
    for number in range(1_100):
        delisted.keep(str(number), {"1s": 10, "1d": 1_000_000 + number}, 0)
    delisted.keep("empty", {}, 0)
    assert len(delisted.dump()) == 1_000
    assert (delisted.ends_of("99"), delisted.ends_of("100")) == ({}, {"1s": 10, "1d": 1_000_100})
    delisted.keep("last", {"1s": 10**10}, 3_600_000_000 + 1_001_000)
    assert len(delisted.dump()) == 99 + 1


def test_a_checkpoint_without_delisted_instruments() -> None:
    """Earlier versions did not keep them."""
    worker = RawProcessor("binance", 0, SETTINGS)
    state = worker.dump_own()
    del state["delisted"]
    worker.load_own(state)
    assert worker.dump_own()["delisted"] == {}
