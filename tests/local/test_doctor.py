"""Findings of the doctor."""

import pytest

from marketprism.local import doctor
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


async def test_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """ClickHouse's address is shown without the password."""
    monkeypatch.setattr(doctor, "run_query", lambda settings, query: b"26.1.1\n")
    server = load_settings(
        clickhouse="clickhouse://user:secret@host", endpoints={"okx": {"rest": "http://127.0.0.1:9"}}
    )
    [found] = [
        each for each in await examine(server.model_copy(update={"feeds": ("okx",)})) if each.name == "clickhouse"
    ]
    assert found.text == "26.1.1 at clickhouse://user:***@host"
