"""Lock a data directory, so that only one stack at a time uses it.

`stack.lock` is locked with `flock`, so that the kernel releases it however its holder dies. The file's text describes
the holder.
"""

import fcntl
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from schemas.errors import StackError
from sinks.stack_lock import LOCK_FILE

_TIMEOUT = 1.0  # s; a process that checks the lock also holds it for a moment


class DataLock:
    """Lock on a data directory: `with DataLock(data): …`. Raises `StackError`, which describes the holder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(
                self._data / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644
            )  # not inherited by children
        except OSError as error:
            raise StackError(f"cannot use the data directory {self._data}: {error.strerror}") from None
        try:
            self._lock()
            self._write_holder()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _lock(self) -> None:
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._in_use() from None
                time.sleep(0.05)
            except OSError as error:
                raise StackError(f"cannot lock the data directory {self._data}: {error.strerror}") from None

    def _in_use(self) -> StackError:
        return StackError(
            f"the data directory {self._data} is in use by {_holder(self._data)}: "
            "stop it, or name another directory with --data"
        )

    def _write_holder(self) -> None:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv), "started": started})
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)
        except OSError:  # a full disk: the lock works without the text
            return

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _holder(data: Path) -> str:
    """Describe the process that holds the lock."""
    try:
        holder: dict[str, Any] = json.loads((data / LOCK_FILE).read_text())
        return f"process {holder['pid']} ({holder['command']}) since {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
