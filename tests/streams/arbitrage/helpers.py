"""Send lines to one partition of the join, and collect what it publishes."""

from typing import Any

import orjson

from schemas.events import EVENTS
from schemas.settings import Settings, load_settings
from streams.arbitrage.join import JoinProcessor
from tests.frames import Levels

SETTINGS = load_settings()  # fees: 10 bps each on spot; window: 500 ms
T0 = 1_790_000_000_000_000  # µs


class JoinRig:
    """One partition of the join. Each line that it is sent has a higher source than the last."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.partition = JoinProcessor(0, settings)
        self.offset = 0
        self.signals: list[dict[str, Any]] = []
        self.others: list[tuple[str, bytes, dict[str, Any]]] = []  # topic, key and body of everything else

    def send(self, record: bytes) -> list[dict[str, Any]]:
        """Send a record, and return the signals that it causes."""
        records = self.partition.process(self.offset, record).records
        self.offset += 1
        for topic, key, value in records:
            assert key is not None
            body = orjson.loads(value)
            EVENTS[topic].model_validate(body)
            if topic != "signals.arbitrage":
                self.others.append((topic, key, body))
        found = [orjson.loads(value) for topic, _, value in records if topic == "signals.arbitrage"]
        self.signals += found
        return found

    def quote(
        self,
        exchange: str,
        millis: float,
        bids: Levels,
        asks: Levels,
        state: str = "live",
        symbol: str = "BTC-USDT",
        origin: str = "bbo",
    ) -> list[dict[str, Any]]:
        body = {
            "source": f"{exchange}:0:{self.offset}:0:0", "exchange": exchange, "symbol": symbol,
            "timestamp": T0, "local_timestamp": T0 + int(millis * 1000), "origin": origin, "sequence": 1,
            "bids": bids, "asks": asks,
        }  # fmt: skip
        return self.send(state.encode() + b"\t" + orjson.dumps(body))

    def notice(self, exchange: str, millis: float, state: str) -> list[dict[str, Any]]:
        body = {
            "source": f"{exchange}:0:{self.offset}:0:0", "exchange": exchange, "symbol": "BTC-USDT",
            "local_timestamp": T0 + int(millis * 1000),
        }  # fmt: skip
        return self.send(state.encode() + b"\t" + orjson.dumps(body))

    def tick(self, exchange: str, millis: float, partition: int = 0) -> list[dict[str, Any]]:
        return self.send(b"tick\t%s\t%d\t%d" % (exchange.encode(), partition, T0 + int(millis * 1000)))


def opened() -> JoinRig:
    """Return a join with an open signal: buying on Binance at 100 and selling on OKX at 101 pays 100 bps gross."""
    join = JoinRig()
    join.quote("binance", 0, [["99", "1"]], [["100", "2"]])
    [signal] = join.quote("okx", 10, [["101", "3"]], [["102", "1"]])
    assert signal["type"] == "opened"
    return join
