"""Find running stacks, and what they use."""

import os
import stat
from pathlib import Path

import pytest

from marketprism.local import stack_state
from marketprism.local.data_lock import DataLock
from marketprism.local.stack import Stack
from marketprism.local.stack_state import announced, describe, find_stack, read_state, running_stacks
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
    assert left.settings == {"topic_prefix": "x.", "kafka": "127.0.0.1:1234"}
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
    """A link without a lock is removed. A damaged state is none."""
    data = tmp_path / "data"
    data.mkdir()
    link = stack_state._directory() / "123"
    link.symlink_to(data)
    describe("demo", load_settings()).write(data)
    assert running_stacks() == []
    assert not link.is_symlink()
    (data / "stack.json").write_text("{")
    assert read_state(data) is None


def test_links_of_others_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that another user has created is not used."""
    data = tmp_path / "data"
    with DataLock(data), announced(data):
        describe("demo", load_settings()).write(data)
        assert len(running_stacks()) == 1
        directory = stack_state._directory()
        monkeypatch.setattr(stack_state, "_directory", lambda: directory)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        assert running_stacks() == []
