"""Drop what is past the retention, in the real engine and through the sink that owns it."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from marketprism.jobs.outcome import SILENT
from marketprism.jobs.retention import apply_retention
from schemas.errors import StorageError
from schemas.settings import Settings
from sinks.migrations import migrate
from sinks.retention import TableRetention, drop_expired
from sinks.sql.http_server import SqlServer
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import encoded

DAYS = 30


@pytest.fixture
def kept(engine_settings: Settings) -> Settings:
    return engine_settings.model_copy(update={"retention_days": DAYS})


@pytest.fixture
def aged(kept: Settings) -> Iterator[EmbeddedStorage]:
    """Open an engine with a trade stored now, a part of two stored 40 days ago, and one of 40 and 20 days ago."""
    opened = EmbeddedStorage(kept)
    migrate(opened, kept)
    until_mutated(opened)
    opened.execute("SYSTEM STOP MERGES prism.trades")  # which would drop expired parts too, at some time
    opened.execute("SYSTEM STOP TTL MERGES prism.trades")
    assert opened.insert("prism.trades", Block(0, [encoded("market.trades")], [0]), "a") is None
    for ages in ([40, 40], [40, 20]):
        opened.execute(
            f"INSERT INTO prism.trades SELECT * REPLACE (now64(3) - toIntervalDay(age) AS _inserted) EXCEPT age "
            f"FROM (SELECT *, arrayJoin({ages}) AS age FROM prism.trades ORDER BY _inserted DESC LIMIT {len(ages)})"
        )
    yield opened
    opened.close()


def until_mutated(storage: EmbeddedStorage) -> None:
    """Wait until the change of the TTL has reached the parts: until then none is dropped."""
    deadline = time.monotonic() + 30
    while storage.query("SELECT count() FROM system.mutations WHERE NOT is_done") != [[0]]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def count(storage: EmbeddedStorage) -> int:
    return int(storage.query("SELECT count() FROM prism.trades")[0][0])


def test_only_what_is_past_as_a_whole(aged: EmbeddedStorage, kept: Settings) -> None:
    """A part goes once all its rows are past the retention. What is left says how old its oldest row is."""
    before = count(aged)
    [trades] = drop_expired(aged, kept)
    assert trades._replace(bytes=0, oldest="") == TableRetention("trades", 1, 2, 0, "")
    assert trades.bytes > 0
    assert count(aged) == before - 2 == 3
    age = datetime.now(UTC) - datetime.fromisoformat(trades.oldest).replace(tzinfo=UTC)
    assert abs(age - timedelta(days=40)) < timedelta(minutes=2)
    assert [each.parts for each in drop_expired(aged, kept)] == [0]


def test_rows_are_kept_indefinitely(aged: EmbeddedStorage, kept: Settings) -> None:
    """Without a retention nothing is dropped, although the parts remember the one that was set before."""
    forever = kept.model_copy(update={"retention_days": 0})
    migrate(aged, forever)
    before = count(aged)
    assert drop_expired(aged, forever) == []
    assert count(aged) == before


def test_a_change_of_the_retention(aged: EmbeddedStorage, kept: Settings) -> None:
    """Until a change of the retention has reached the parts, none is dropped by the old one."""
    aged.execute("ALTER TABLE prism.trades MATERIALIZE TTL SETTINGS mutations_sync = 0")
    before = count(aged)
    assert [each.parts for each in drop_expired(aged, kept)] == [0]
    assert count(aged) == before


async def test_through_the_sink(aged: EmbeddedStorage, kept: Settings) -> None:
    """The job asks the process that owns the data, and says what was dropped. Nobody else's page can ask."""
    with pytest.raises(StorageError, match="start `marketprism sink`"):
        await apply_retention(kept, SILENT)
    server = SqlServer(kept, aged)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session, session.post(f"http://{server.address}/retention") as answer:
            assert answer.status == 421
        outcome = await asyncio.wait_for(apply_retention(kept, SILENT), 30)
    finally:
        await server.stop()
    assert outcome.figures["rows"] == 2
    assert [each["table"] for each in outcome.figures["tables"]] == ["trades"]
    assert outcome.summary.startswith("dropped 2 rows, 0.0 MB; the oldest row left was stored at 2")


async def test_nothing_to_do(kept: Settings) -> None:
    """Without a retention, the job says so and asks nobody."""
    outcome = await apply_retention(kept.model_copy(update={"retention_days": 0}), SILENT)
    assert outcome.summary == "nothing to do: rows are kept indefinitely (retention_days is 0)"
