"""A worker publishes every record into the partition of its key."""

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.keys import partition_of
from schemas.settings import load_settings
from schemas.topics import CONTROL, JOIN
from streams.output import Output
from streams.worker import Worker

SETTINGS = load_settings(partitions=64, topic_prefix="x.")


class Published(list[tuple[str, int, bytes | None]]):
    """Publishers that keep what is published."""

    def put(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        self.append((topic, partition, key))


def test_records_have_the_partitions_of_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumers find a key where every Kafka client looks for it. Requests have one partition, and the join its own."""
    published: Any = Published()
    monkeypatch.setattr(Worker, "publishers", published)
    out = Output(SETTINGS.partitions)
    for topic in ("market.trades", "dead_letters", CONTROL):
        out.event(topic, b"okx:BTC-USDT", {})
    out.event("signals.arbitrage", b"BTC-USDT", {})
    out.joins[7].append(b"line")
    Worker(SimpleNamespace(), SETTINGS)._publish(out)
    expected = partition_of(b"okx:BTC-USDT", 64)
    assert published == [
        ("x.market.trades", expected, b"okx:BTC-USDT"),
        ("x.dead_letters", expected, b"okx:BTC-USDT"),
        (f"x.{CONTROL}", 0, b"okx:BTC-USDT"),
        ("x.signals.arbitrage", partition_of(b"BTC-USDT", 64), b"BTC-USDT"),
        (f"x.{JOIN}", 7, None),
    ]
