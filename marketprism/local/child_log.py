"""Copy a child process's output to a log of bounded size, and keep its end in memory.

A thread reads the output from a pipe. So a full disk never blocks or breaks a child, the log can be rotated while the
child writes, and the output can be searched without reading the log.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger(__name__)

LOG_BYTES = 10_000_000  # maximum size of one file
LOG_FILES = 3  # the current file and older ones: child.log, child.log.1, child.log.2
_KEPT = 1_000_000  # bytes kept in memory
_CHUNK = 65_536
_RETRY_EVERY = 5.0  # s between attempts to write a log that failed
_DISK_FULL = (os.strerror(errno.ENOSPC).encode(), b"NOT_ENOUGH_SPACE")  # as Kafka and ClickHouse report it


class RotatedLog:
    """Log file that is rotated when it is full. Output that cannot be written is dropped, and reported once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._failed = False
        self._retry_at = 0.0

    def write(self, data: bytes) -> None:
        """Append data, or drop it if the file cannot be written."""
        if time.monotonic() < self._retry_at:
            return
        try:
            self._append(data)
        except OSError as error:
            self._pause(error)
        else:
            if self._failed:
                log.warning("log is writable again; output in between was lost", file=str(self._path))
            self._failed, self._retry_at = False, 0.0

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        if self._file.tell() and self._file.tell() + len(data) > LOG_BYTES:
            self.close()
            for number in range(LOG_FILES - 1, 0, -1):
                older = self._numbered(number - 1)
                if older.exists():
                    os.replace(older, self._numbered(number))
            self._file = self._path.open("ab", buffering=0)
        self._file.write(data)

    def _pause(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + _RETRY_EVERY
        self.close()
        if not self._failed:
            self._failed = True
            log.error("cannot write a log; the process continues", file=str(self._path), reason=str(error))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


class ChildLog:
    """Reader of one child's pipe, until all of its writers have ended.

    `on_disk_full` is called whenever the child reports a full disk.
    """

    def __init__(self, pipe: IO[bytes], path: Path, on_disk_full: Callable[[], None]) -> None:
        self._pipe = pipe
        self._log = RotatedLog(path)
        self._on_disk_full = on_disk_full
        self._kept = bytearray()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name=f"log {path.name}", daemon=True)
        self._thread.start()

    def text(self, size: int) -> str:
        """Return the last `size` bytes of the output."""
        with self._lock:
            return self._kept[-size:].decode(errors="replace")

    def join(self, seconds: float) -> None:
        """Wait until all output has been read."""
        self._thread.join(seconds)

    def _follow(self) -> None:
        with self._pipe:
            while data := os.read(self._pipe.fileno(), _CHUNK):
                self._log.write(data)
                with self._lock:
                    self._kept += data
                    del self._kept[:-_KEPT]
                if any(sign in data for sign in _DISK_FULL):
                    self._on_disk_full()
        self._log.close()
