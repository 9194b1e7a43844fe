"""A checkpoint holds what a partition owns, and nothing else."""

from types import SimpleNamespace
from typing import Any

from faust.types import TP

from schemas.keys import input_partition_of
from schemas.settings import load_settings
from streams.checkpoint import Checkpointed
from streams.raw_processor import RawProcessor
from tests.frames import binance, line, tick

SETTINGS = load_settings()


class Recorded:
    """Publishers that keep what is published."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()

    def put(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self.keys.add(key)

    async def drain(self) -> None:
        """Everything has been published."""


async def test_an_entry_of_another_partition_is_left_out() -> None:
    """Lines that an older version put elsewhere are processed, but their state must not replace the owner's."""
    key = binance.SPOT.key
    owner = input_partition_of(key, SETTINGS.partitions)
    for number in range(SETTINGS.partitions):
        tp, published = TP("raw.binance", number), Recorded()
        states = _checkpointed(tp, published)
        state = await states.state(tp)
        assert len(state.process(0, line(key, binance.trade()) + tick("binance", 1000)).records) > 0
        message = SimpleNamespace(tp=tp, value=b"")
        states.processed(SimpleNamespace(message=message, value=b"", ack=lambda: None))
        await states.checkpoint()
        assert published.keys == {b"binance:*:%d" % number} | ({key.encode()} if number == owner else set())


def _checkpointed(tp: Any, published: Any) -> Checkpointed[RawProcessor]:
    app = SimpleNamespace(consumer=SimpleNamespace(assignment=lambda: {tp}))
    table = SimpleNamespace(data={}, items=dict[bytes, bytes]().items, changelog_topic=_Changelog())
    return Checkpointed(app, table, lambda: published, lambda tp: RawProcessor("binance", tp.partition, SETTINGS), 3)


class _Changelog:
    def get_topic_name(self) -> str:
        return "changelog"
