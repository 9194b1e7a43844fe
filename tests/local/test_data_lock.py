"""Only one stack at a time can use a data directory."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marketprism.local.data_lock import DataLock
from marketprism.local.stack import Stack
from schemas.errors import StackError
from schemas.settings import load_settings
from sinks.stack_lock import LOCK_FILE

HOLD = "import sys, time; from pathlib import Path; from marketprism.local.data_lock import DataLock\n"
HOLD += "with DataLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def locked(data: Path) -> "subprocess.Popen[bytes]":
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(data)], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    return holder


def test_the_error_describes_the_holder(tmp_path: Path) -> None:
    """The error contains the process, its command and start time. Once the holder is killed, the directory is free."""
    with locked(tmp_path) as holder:
        written = json.loads((tmp_path / LOCK_FILE).read_text())
        assert written.keys() == {"pid", "command", "started"}
        assert written["pid"] == holder.pid
        expected = rf"in use by process {holder.pid} \(-c .*since {written['started']}"
        with pytest.raises(StackError, match=expected.replace("+", r"\+")), DataLock(tmp_path):
            pass
        holder.kill()
        holder.wait()
        with DataLock(tmp_path):
            assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()


def test_checking_the_lock_is_harmless(tmp_path: Path) -> None:
    """A short shared lock only causes a delay, and children of the holder do not inherit the lock."""
    with DataLock(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    with DataLock(tmp_path):
        pass
    descriptor = os.open(tmp_path / LOCK_FILE, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    async def close_soon() -> None:
        await asyncio.sleep(0.3)
        os.close(descriptor)

    def take() -> None:
        with DataLock(tmp_path):
            pass

    async def both() -> None:
        await asyncio.gather(close_soon(), asyncio.to_thread(take))

    try:
        asyncio.run(both())
    finally:
        child.kill()
        child.wait()


@pytest.mark.e2e
def test_a_second_demo_changes_nothing(tmp_path: Path) -> None:
    """`demo --data DIR` on a directory in use exits with one line and leaves DIR unchanged."""
    with locked(tmp_path) as holder:
        before = sorted(path.name for path in tmp_path.iterdir())
        command = [sys.executable, "-m", "marketprism", "demo", "--data", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        holder.kill()
    assert done.returncode == 1
    assert f"in use by process {holder.pid}" in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == before


async def test_a_stack_locks_its_directory(tmp_path: Path) -> None:
    """A stack locks its directory while it runs. If the directory cannot be created, the error says so."""
    async with Stack(load_settings(), tmp_path / "data"):
        with pytest.raises(StackError, match="in use"):
            async with Stack(load_settings(), tmp_path / "data"):
                pass
    async with Stack(load_settings(), tmp_path / "data"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="cannot use"):
        async with Stack(load_settings(), tmp_path / "file"):
            pass
