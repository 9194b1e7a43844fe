"""Monitor the free space of a stack's data directory, and report when it runs low, runs out, and is back to normal."""

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import structlog

from marketprism.local.processes import ChildStatus

log = structlog.get_logger(__name__)

State = Literal["ok", "low", "full"]

_EVERY = 5.0  # s
_MB = 1_000_000
_FULL = 0.1  # fraction of the `low` threshold below which the disk counts as full
_HYSTERESIS = 1.1  # factor above a threshold at which its state ends
_REPORT_VALID_S = 15.0  # how long a child's report of a full disk counts


class DiskMonitor:
    """Monitor of the disk that holds `path`: its `state` and its `free` bytes.

    `low`: below `low_mb`; `full`: below a tenth of that, or a child reported a full disk.
    """

    def __init__(self, path: Path, low_mb: int, children: Iterable[ChildStatus] = ()) -> None:
        self.low = low_mb * _MB
        self.state: State = "ok"
        self.free = 0
        self._path = path
        self._children = children

    async def run(self) -> None:
        """Check every 5 s until cancelled."""
        while True:
            try:
                self.update(await asyncio.to_thread(free_bytes, self._path))
            except OSError as error:
                log.warning("cannot read the free space", directory=str(self._path), reason=str(error))
            await asyncio.sleep(_EVERY)

    def update(self, free: int) -> None:
        """Set the current free space, in bytes. Log a change of the state."""
        self.free = free
        before, self.state = self.state, self._assess(free)
        if self.state == before:
            return
        facts = {"directory": str(self._path), "free_mb": free // _MB, "disk_low_mb": self.low // _MB}
        if self.state == "full":
            log.error("disk is full: nothing is stored until space is freed", **facts)
        elif self.state == "low":
            log.warning("disk is nearly full", **facts)
        else:
            log.warning("disk has enough space again", **facts)

    def _assess(self, free: int) -> State:
        if self._reported_full() or free < self.low * _FULL * (_HYSTERESIS if self.state == "full" else 1):
            return "full"
        return "low" if free < self.low * (1 if self.state == "ok" else _HYSTERESIS) else "ok"

    def _reported_full(self) -> bool:
        since = time.monotonic() - _REPORT_VALID_S
        return any(status.child.disk_full_at > max(0.0, since) for status in self._children)


def free_bytes(path: Path) -> int:
    """Return the free bytes, for this user, of the disk that holds the path or would hold it."""
    while not path.exists() and path != path.parent:
        path = path.parent
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
