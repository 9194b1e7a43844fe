"""The broker's jars: locked by hash, and nothing half-fetched is used."""

from pathlib import Path

import pytest

from marketprism.local import jars
from marketprism.local.jars import Jar, classpath, locked_jars, missing_jars
from schemas.errors import StackError


def test_the_lock_names_whole_jars() -> None:
    """Each locked jar has coordinates and a sha256, and setting up brought all of them."""
    assert all(len(jar.sha256) == 64 and jar.group and jar.version for jar in locked_jars())
    assert len({jar.name for jar in locked_jars()}) == len(locked_jars())
    assert missing_jars() == []


def test_missing_jars_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache: the error says how to fill it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert missing_jars() == locked_jars()
    with pytest.raises(StackError, match=r"python -m local\.jars"):
        classpath()


def test_another_hash_than_the_lock_says_is_refused(tmp_path: Path) -> None:
    """A jar whose bytes are not the locked ones is an error, with both hashes in it."""
    file = tmp_path / "a.jar"
    file.write_bytes(b"half of a j")
    with pytest.raises(StackError, match="the lock says 0000"):
        jars.verify(file, Jar("g", "a", "1", "0" * 64))
