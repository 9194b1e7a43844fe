"""Malformed records become dead letters and never stop the sink, which waits for a failing ClickHouse."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import StorageError
from schemas.events import DeadLetter
from schemas.settings import Settings
from schemas.sources import SeenSources, source_of
from sinks.dead_letters import rejected_row
from sinks.migrations import migrate
from sinks.storage.base import Block, Rejection, UnexplainedError, rejection_or_raise
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import trade
from tests.sinks.helpers import produce, read_values, rows, running, until


class FailingStorage(EmbeddedStorage):
    """The real engine, whose inserts into trades fail with an unknown error for the ids in `poison`."""

    poison: frozenset[bytes] = frozenset()
    broken = False

    def insert(self, table: str, block: Block, token: str) -> Rejection | None:
        ids = {orjson.loads(value)["id"].encode() for value in block.values} if table.endswith(".trades") else set()
        if ids and (self.broken or ids & self.poison):
            raise UnexplainedError("Code: 7777. DB::Exception: something new")
        return super().insert(table, block, token)


@pytest.fixture
def store(settings: Settings) -> Iterator[FailingStorage]:
    opened = FailingStorage(settings)
    migrate(opened, settings)
    yield opened
    opened.close()


async def stored(store: EmbeddedStorage) -> list[int]:
    found = await rows(store, "SELECT arraySort(groupArray(toUInt32(id))) FROM marketprism.trades")
    return list(found[0][0])


async def letters(settings: Settings) -> list[DeadLetter]:
    return [DeadLetter.model_validate_json(value) for value in await read_values(settings, "dead_letters")]


@pytest.mark.parametrize("bad", [{7}, {0}, {0, 1}, {19}, {3, 11, 12}])
async def test_rows_that_fail_for_unknown_reasons_are_set_aside(
    settings: Settings, store: FailingStorage, bad: set[int]
) -> None:
    """When an error does not show its cause, only the rows that trigger it become dead letters, each in full."""
    store.poison = frozenset(str(n).encode() for n in bad)
    await produce(settings, "market.trades", [trade(n) for n in range(20)])
    good = [n for n in range(20) if n not in bad]
    async with running(settings, store):

        async def complete() -> bool:
            return await stored(store) == good and len(await letters(settings)) == len(bad)

        await until(complete)
    found = await letters(settings)
    assert [letter.frame.encode() for letter in found] == [trade(n) for n in sorted(bad)]
    assert all("something new" in letter.reason for letter in found)


async def test_the_sink_waits_for_a_failing_clickhouse(settings: Settings, store: FailingStorage) -> None:
    """When every row fails, the sink waits: all but a few are stored later, and those few are complete dead letters."""
    store.broken = True
    await produce(settings, "market.trades", [trade(n) for n in range(200)])
    async with running(settings, store):
        await asyncio.sleep(4)
        assert await stored(store) == []
        assert len(await letters(settings)) <= 3
        store.broken = False

        async def complete() -> bool:
            return len(await stored(store)) + len(await letters(settings)) == 200

        await until(complete)
    assert len(await stored(store)) >= 197


@pytest.mark.parametrize("code", [0, 60, 159, 164, 209, 210, 241, 242, 243, 1001])
def test_known_server_errors_are_not_rejections(code: int) -> None:
    """Errors of disk, memory and network, timeouts and read-only mode affect every row, so the sink waits."""
    with pytest.raises(StorageError) as error:
        rejection_or_raise(code, "x")
    assert not isinstance(error.value, UnexplainedError)


def test_too_many_parts_differs_from_two_days_in_a_block() -> None:
    """One code has two meanings: the block must be halved, or the server is too slow and the sink must wait."""
    assert rejection_or_raise(252, "Too many partitions for single INSERT block (more than 1)").code == 252
    with pytest.raises(StorageError):
        rejection_or_raise(252, "Too many parts (3000). Merges are processing significantly slower than inserts")


MALFORMED: list[bytes | None] = [
    None,
    b"",
    b"\xff\xfe\x00",
    b'{"source":"binance:0:' + b"9" * 5_000 + b':0:0"}',
    b'{"source":"',
    b'{"source":""}',
    b'{"source":"binance:0:1:2',
    b'{"source":7}',
    b'{"source":"::::"}',
    b'{"source":"binance:0:\xd9\xa1:0:0"}',
    b"[" * 100_000,
    b"\x00" * 900_000,
    b"\x01" * 900_000,
    b'"' * 900_000,
]


async def test_each_malformed_record_is_one_dead_letter(settings: Settings, tmp_path: Path) -> None:
    """Malformed bytes in a topic become dead letters, and the valid events between them are stored."""
    store = EmbeddedStorage(settings)
    migrate(store, settings)
    values = [value for n, each in enumerate(MALFORMED) for value in (each, trade(n))]
    await produce(settings, "market.trades", values)
    async with running(settings, store):

        async def complete() -> bool:
            letters_stored = await rows(store, "SELECT count() FROM marketprism.dead_letters")
            return bool(len(await stored(store)) == len(MALFORMED) and letters_stored == [[len(MALFORMED)]])

        await until(complete)
    assert [letter.frame_bytes for letter in await letters(settings)] == [len(value or b"") for value in MALFORMED]
    store.close()


@given(st.binary(max_size=400) | st.binary(max_size=40).map(lambda tail: b'{"source":"' + tail))
def test_source_of_any_bytes(value: bytes) -> None:
    """Extracting the source of an event never raises."""
    source_of(value)
    SeenSources().is_new(value)
    SeenSources([value])


def record(value: bytes | None, key: bytes | None = b"okx:BTC-USDT") -> ConsumerRecord:
    return ConsumerRecord("t", 1, 2, 3, 0, key, value, None, -1, len(value or b""), ())


@pytest.mark.parametrize("byte", ["\0", "\x01", '"', "\\", "x", "é", "\x7f"])
@pytest.mark.parametrize("size", [1, 10_000, 1_000_000])
def test_dead_letter_size_is_bounded(byte: str, size: int) -> None:
    """A megabyte of control characters, six times as long in JSON, still fits into a record of 1 MB."""
    value = (byte * size).encode()
    letter = rejected_row("market.trades", record(value, value), "x" * 1_000_000)
    assert len(letter) < 600_000
    assert DeadLetter.model_validate_json(letter).frame_bytes == len(value)
