"""Findings of the doctor."""

from marketprism.local.doctor import examine
from schemas.settings import Settings, load_settings


async def test_doctor(settings: Settings) -> None:
    """The doctor confirms what works, and says how to fix what is missing."""
    unreachable = {"binance-spot": {"rest": "http://127.0.0.1:9"}}
    found = {
        each.name: each
        for each in await examine(load_settings(kafka=settings.kafka, topic_prefix="none.", endpoints=unreachable))
    }
    assert found["java"].ok
    assert found["kafka jars"].ok
    assert found["broker"].ok is False
    assert "marketprism topics --create" in found["broker"].text
    assert found["clickhouse"].ok is None
    assert found["clock"].ok is None
