"""Raw records to JSON events, for each kind that is neither trades, books nor quotes, compared with parsing alone."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import orjson

from bench.harness import Result, compare, per_second
from bench.rigs.frames import Frame
from bench.rigs.raw_topics import raw_records
from bench.rigs.simulated import collect
from schemas.channels import CORE_CHANNELS
from schemas.feeds import FEEDS
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor

_COLLECTED = 10.0  # s
_MIN_FRAMES = 5_000  # per run; what was collected is repeated


def measure(rounds: int) -> list[Result]:
    """Measure each exchange's channels apart."""
    frames: dict[tuple[str, str], list[Frame]] = defaultdict(list)
    for (feed, channel), found in collect(_COLLECTED).items():
        if channel not in CORE_CHANNELS:
            frames[FEEDS[feed].exchange, channel] += found
    results = []
    for (exchange, channel), found in sorted(frames.items()):
        repeated = found * (1 + _MIN_FRAMES // len(found))
        ours = per_second(len(repeated), _process(exchange, repeated))
        floor = per_second(len(repeated), _parse_only(repeated))
        name = f"raw record to JSON events: {exchange} {channel}"
        results.append(compare(name, "frames/s", ours, "orjson alone", floor, rounds))
    return results


def _process(exchange: str, frames: Sequence[Frame]) -> Callable[[], None]:
    settings = load_settings()
    values = [value for _, value in raw_records(frames, 1)]

    def run() -> None:
        partition = RawProcessor(exchange, 0, settings)
        for offset, value in enumerate(values):
            partition.process(offset, value)

    return run


def _parse_only(frames: Sequence[Frame]) -> Callable[[], None]:
    def run() -> None:
        for _, _, frame in frames:
            orjson.loads(frame)

    return run
