"""The broker's jars are locked by hash, and incomplete ones are never used."""

from pathlib import Path

import pytest

from marketprism.local import jars
from marketprism.local.jars import Jar, classpath, locked_jars, missing_jars
from schemas.errors import StackError


def test_the_lock_is_complete() -> None:
    """Each locked jar has coordinates and a sha256, and the setup has downloaded all of them."""
    assert all(len(jar.sha256) == 64 and jar.group and jar.version for jar in locked_jars())
    assert len({jar.name for jar in locked_jars()}) == len(locked_jars())
    assert missing_jars() == []


def test_missing_jars_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an empty cache, the error says how to download the jars."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert missing_jars() == locked_jars()
    with pytest.raises(StackError, match=r"python -m marketprism\.local\.jars"):
        classpath()


def test_a_wrong_hash_is_rejected(tmp_path: Path) -> None:
    """For a jar with another hash, the error contains both hashes."""
    file = tmp_path / "a.jar"
    file.write_bytes(b"half of a j")
    with pytest.raises(StackError, match="the lock says 0000"):
        jars.verify(file, Jar("g", "a", "1", "0" * 64))
