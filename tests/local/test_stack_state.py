"""Find running stacks, and what they use."""

import os
import stat
from pathlib import Path

import pytest

from marketprism.local import stack_state
from marketprism.local.data_lock import DataLock
from marketprism.local.stack import Stack
from marketprism.local.stack_state import announced, describe, find_stack, read_state, running_stacks
from marketprism.local.status import describe_stack
from schemas.errors import StackError
from schemas.settings import load_settings


@pytest.fixture(autouse=True)
def _links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))


async def test_a_running_stack_is_found(tmp_path: Path) -> None:
    """A stack is found while it runs. Afterwards its directory still says which settings it had."""
    data = tmp_path / "data"
    async with Stack(load_settings(topic_prefix="x."), data, "demo") as stack:
        stack._set(kafka="127.0.0.1:1234")
        stack._describe()
        found = find_stack()
        assert found is not None
        assert (found.title, found.data, found.pid) == ("demo", str(data), os.getpid())
        assert found.apply(load_settings()).kafka == "127.0.0.1:1234"
    assert find_stack() is None
    left = find_stack(data)
    assert left is not None
    assert left.stopped_at >= left.started_at
    page = stack.settings.api_address
    assert left.settings == {"topic_prefix": "x.", "kafka": "127.0.0.1:1234", "api_address": page}
    assert stat.S_IMODE((data / "stack.json").stat().st_mode) == 0o600


def test_the_users_settings_come_first() -> None:
    """What the user has set is not replaced by what the stack uses."""
    state = describe("demo", load_settings(kafka="127.0.0.1:1", database="theirs"))
    found = state.apply(load_settings(kafka="127.0.0.1:2"))
    assert (found.kafka, found.database) == ("127.0.0.1:2", "theirs")


def test_several_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several stacks one must be selected."""
    first, second = tmp_path / "first", tmp_path / "second"
    with DataLock(first), DataLock(second), announced(first):
        describe("demo", load_settings()).write(first)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with announced(second):
            describe("live", load_settings()).write(second)
            assert len(running_stacks()) == 2
            with pytest.raises(StackError, match="select one with --data"):
                find_stack()
            assert find_stack(second) is not None


def test_a_killed_stack_is_not_running(tmp_path: Path) -> None:
    """A link without a lock is removed, if it is one of a process."""
    data = tmp_path / "data"
    data.mkdir()
    directory = stack_state._directory()
    assert directory is not None
    for name in ("123", "mine"):
        (directory / name).symlink_to(data)
    describe("demo", load_settings()).write(data)
    assert running_stacks() == []
    assert [link.name for link in directory.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"settings":{"a":' + "[" * 100_000,
        '{"title":"demo","started_at":1e308}',
        '{"title":"demo","settings":{"unknown":1}}',
        '{"title":"demo","settings":{"partitions":"many"}}',
    ],
)
def test_damaged_states(tmp_path: Path, text: str) -> None:
    """A stack whose state cannot be read is still found, with its own ClickHouse, and reported as such."""
    with DataLock(tmp_path), announced(tmp_path):
        (tmp_path / "stack.json").write_text(text)
        [state] = running_stacks()
        assert state.apply(load_settings()).clickhouse == f"chdb://{tmp_path}/clickhouse"
        [finding] = describe_stack(state)
    assert (finding.name, finding.ok) == ("stack", False)
    assert "stack.json cannot be read" in finding.text


@pytest.mark.parametrize(
    ("used", "found"),
    [
        ({}, "chdb://{now}/clickhouse"),
        ({"clickhouse": "chdb://{before}/clickhouse"}, "chdb://{now}/clickhouse"),
        ({"clickhouse": "chdb:///elsewhere"}, "chdb:///elsewhere"),
        ({"clickhouse": "clickhouse://server"}, "clickhouse://server"),
    ],
)
def test_clickhouse_of_a_moved_directory(tmp_path: Path, used: dict[str, str], found: str) -> None:
    """An embedded ClickHouse is in the data directory, wherever that is now, even if the stack never started it."""
    before, now = tmp_path / "before", tmp_path / "now"
    before.mkdir()
    settings = {name: value.format(before=before) for name, value in used.items()}
    describe("demo", load_settings(**settings)).write(before)
    before.rename(now)
    state = read_state(now)
    assert state is not None
    assert state.apply(load_settings()).clickhouse == found.format(now=now)
    assert state.apply(load_settings(clickhouse="chdb:///mine")).clickhouse == "chdb:///mine"


@pytest.mark.parametrize("of_others", ["owner", "mode", "link"])
def test_links_of_others_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_others: str) -> None:
    """A directory of links that another user has created or can change is not used."""
    data = tmp_path / "data"
    directory = stack_state._directory()
    assert directory is not None
    with DataLock(data), announced(data):
        describe("demo", load_settings()).write(data)
        assert len(running_stacks()) == 1
        if of_others == "owner":
            directory.rename(directory.with_name("marketprism-stacks-12345"))
            monkeypatch.setattr(os, "getuid", lambda: 12345)
        elif of_others == "mode":
            directory.chmod(0o770)
        else:
            directory.rename(tmp_path / "theirs")
            directory.symlink_to(tmp_path / "theirs")
        assert running_stacks() == []
