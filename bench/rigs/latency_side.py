"""One side of the latency case, which sets the rate of its exchange and times the records of its last topic."""

import asyncio
import time
from collections.abc import Callable

import orjson
from aiokafka import AIOKafkaConsumer
from websockets.asyncio.client import ClientConnection

from bench.rigs.paced_frames import MOVING
from bench.rigs.paced_server import IDLE_RATE

_WARM_UP = 2.0  # s
_TIMEOUT = 120.0  # s for queued frames to be processed

StampOf = Callable[[bytes], int | None]  # returns the receipt of the frame that caused a record, ns


class Side:
    """One of the two sides: ours, or the relay."""

    def __init__(self, control: ClientConnection, consumer: AIOKafkaConsumer, stamp_of: StampOf) -> None:
        self.samples: list[tuple[int, int]] = []  # receipt and arrival, ns
        self._control, self._consumer, self._stamp_of = control, consumer, stamp_of
        self._newest: dict[int, int] = {}  # receipt, by partition

    async def follow(self) -> None:
        """Collect samples until cancelled."""
        while True:
            records = await self._consumer.getmany(timeout_ms=200)
            arrival = time.time_ns()
            for place, messages in records.items():
                for message in messages:
                    if stamp := self._stamp_of(message.value):
                        self.samples.append((stamp, arrival))
                        self._newest[place.partition] = stamp

    async def latencies(self, rate: int, seconds: float) -> list[float]:
        """Send at a rate for `seconds` and return the sorted latencies of those frames, in ms."""
        await self._control.send(str(rate))
        await asyncio.sleep(_WARM_UP)
        self.samples.clear()
        begin = time.time_ns()
        await asyncio.sleep(seconds)
        end = time.time_ns()
        await self._control.send(str(IDLE_RATE))
        await self.until_drained(end)
        return sorted((arrival - stamp) / 1e6 for stamp, arrival in self.samples if begin <= stamp < end)

    async def until_drained(self, end: int) -> None:
        """Wait until both partitions have records of frames received after `end`."""
        async with asyncio.timeout(_TIMEOUT):
            while len(self._newest) < len(MOVING) or min(self._newest.values()) < end:
                await asyncio.sleep(0.05)


def stamp_of_frame(value: bytes) -> int:
    """Return the stamp of a frame in the relay."""
    return int(value[: value.index(b"\t")])


def stamp_of_signal(value: bytes) -> int | None:
    """Return the stamp of the moving instrument's quote, which caused the signal; None if time caused it."""
    signal = orjson.loads(value)
    if signal["reason"] not in ("", "spread_gone"):
        return None
    [stamp] = [
        signal[side]["local_timestamp"]
        for side in ("buy", "sell")
        if signal[side]["exchange"] == MOVING[signal["symbol"]]
    ]
    return int(stamp) * 1000
