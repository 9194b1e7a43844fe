"""Free space where a stack keeps its data: reported when it runs low, when it is gone, and when there is room again."""

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import structlog

from marketprism.local.processes import Status

log = structlog.get_logger(__name__)

State = Literal["ok", "low", "full"]

_EVERY = 5.0  # s
_MB = 1_000_000
_FULL = 0.1  # of what counts as low
_ROOM = 1.1  # times a bound, until it counts as left behind
_REPORTED = 15.0  # s that a child's report of a full disk counts


class DiskWatch:
    """`state` and `free` (bytes) of the disk that holds `path`.

    `low`: below `low_mb`; `full`: below a tenth of it, or a child reported that it could not write.
    """

    def __init__(self, path: Path, low_mb: int, children: Iterable[Status] = ()) -> None:
        self.low = low_mb * _MB
        self.state: State = "ok"
        self.free = 0
        self._path = path
        self._children = children

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self.look(await asyncio.to_thread(free_bytes, self._path))
            except OSError as error:
                log.warning("free space cannot be read", directory=str(self._path), reason=str(error))
            await asyncio.sleep(_EVERY)

    def look(self, free: int) -> None:
        """Take the free space of now; log where that changes the state."""
        self.free = free
        before, self.state = self.state, self._judged(free)
        if self.state == before:
            return
        facts = {"directory": str(self._path), "free_mb": free // _MB, "disk_low_mb": self.low // _MB}
        if self.state == "full":
            log.error("the disk is full: nothing is stored until there is room", **facts)
        elif self.state == "low":
            log.warning("the disk is nearly full", **facts)
        else:
            log.warning("the disk has room again", **facts)

    def _judged(self, free: int) -> State:
        if self._reported() or free < self.low * _FULL * (_ROOM if self.state == "full" else 1):
            return "full"
        return "low" if free < self.low * (1 if self.state == "ok" else _ROOM) else "ok"

    def _reported(self) -> bool:
        since = time.monotonic() - _REPORTED
        return any(status.child.disk_full_at > max(0.0, since) for status in self._children)


def free_bytes(path: Path) -> int:
    """What is free for us on the disk of a path, or of where it would be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
