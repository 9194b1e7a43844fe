"""One side of the latency case: sets the rate of its exchange and times what comes out of its last topic."""

import asyncio
import time
from collections.abc import Callable

import orjson
from aiokafka import AIOKafkaConsumer
from websockets.asyncio.client import ClientConnection

from bench.rigs.paced_frames import MOVING
from bench.rigs.paced_server import REST

_WARM_UP = 2.0  # s
_WITHIN = 120.0  # s in which what has queued up must be through

StampOf = Callable[[bytes], int | None]  # of a record: the receipt of the frame that caused it, ns


class Side:
    """Ours, or the relay."""

    def __init__(self, control: ClientConnection, consumer: AIOKafkaConsumer, stamp_of: StampOf) -> None:
        self.samples: list[tuple[int, int]] = []  # receipt and arrival, ns
        self._control, self._consumer, self._stamp_of = control, consumer, stamp_of
        self._newest: dict[int, int] = {}  # receipt, by partition

    async def follow(self) -> None:
        while True:
            records = await self._consumer.getmany(timeout_ms=200)
            arrival = time.time_ns()
            for place, messages in records.items():
                for message in messages:
                    if stamp := self._stamp_of(message.value):
                        self.samples.append((stamp, arrival))
                        self._newest[place.partition] = stamp

    async def latencies(self, rate: int, seconds: float) -> list[float]:
        """In ms, sorted, of the frames of so many seconds at this rate."""
        await self._control.send(str(rate))
        await asyncio.sleep(_WARM_UP)
        self.samples.clear()
        begin = time.time_ns()
        await asyncio.sleep(seconds)
        end = time.time_ns()
        await self._control.send(str(REST))
        await self.through(end)
        return sorted((arrival - stamp) / 1e6 for stamp, arrival in self.samples if begin <= stamp < end)

    async def through(self, end: int) -> None:
        """Wait until frames received after `end` have come out of both partitions."""
        async with asyncio.timeout(_WITHIN):
            while len(self._newest) < len(MOVING) or min(self._newest.values()) < end:
                await asyncio.sleep(0.05)


def stamp_of_frame(value: bytes) -> int:
    return int(value[: value.index(b"\t")])


def stamp_of_signal(value: bytes) -> int | None:
    """Of the instrument that moves: its quote causes the signal. None where it was caused by time."""
    signal = orjson.loads(value)
    if signal["reason"] not in ("", "spread_gone"):
        return None
    [stamp] = [
        signal[side]["local_timestamp"]
        for side in ("buy", "sell")
        if signal[side]["exchange"] == MOVING[signal["symbol"]]
    ]
    return int(stamp) * 1000
