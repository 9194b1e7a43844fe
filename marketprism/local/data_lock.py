"""The lock on a data directory: one stack at a time works in it.

`stack.lock` is locked with `flock`, so that the kernel releases it however its holder dies; its text says who that is.
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

LOCK_FILE = "stack.lock"
_TRY_FOR = 1.0  # s: one who only looks whether it is locked holds it for a moment, too


class DataLock:
    """Hold a data directory: `with DataLock(data): …`. `StackError` says who holds it."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._data / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)  # children do not get it
        except OSError as error:
            raise StackError(f"the data directory {self._data} cannot be used: {error.strerror}") from None
        try:
            self._lock()
            self._sign()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _lock(self) -> None:
        deadline = time.monotonic() + _TRY_FOR
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._held() from None
                time.sleep(0.05)
            except OSError as error:
                raise StackError(f"the data directory {self._data} cannot be locked: {error.strerror}") from None

    def _held(self) -> StackError:
        return StackError(
            f"the data directory {self._data} is in use by {_holder(self._data)}: "
            "stop it, or name another directory with --data"
        )

    def _sign(self) -> None:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv), "started": started})
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)
        except OSError:  # a full disk: it is locked all the same, only nobody can read by whom
            return

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _holder(data: Path) -> str:
    """Who signed the lock, in words."""
    try:
        known: dict[str, Any] = json.loads((data / LOCK_FILE).read_text())
        return f"process {known['pid']} ({known['command']}) since {known['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
