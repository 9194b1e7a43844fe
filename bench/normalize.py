"""Normalize + book + encoded events in one process, against parsing the same frames with orjson and nothing else."""

import orjson

from bench.cases import Result, compare, per_second
from bench.frames import Frame, records
from schemas.settings import load_settings
from streams.raw_partition import RawPartition


def measure(frames: list[Frame]) -> list[Result]:
    settings, values = load_settings(), records(frames)

    def ours() -> None:
        partition = RawPartition("binance", 0, settings)
        for offset, value in enumerate(values):
            partition.process(offset, value)

    def floor() -> None:
        for _, _, frame in frames:
            orjson.loads(frame)

    count = len(frames)
    return [
        compare("normalize + book", "frames/s", per_second(count, ours), "orjson alone", per_second(count, floor)),
    ]
