"""The lock that a stack holds on its data directory, in which an embedded ClickHouse is the folder `clickhouse`."""

import fcntl
from pathlib import Path

LOCK_FILE = "stack.lock"


def is_in_use(data: Path) -> bool:
    """Return whether a stack uses the data directory. A killed stack leaves the file, but not the lock."""
    try:
        with (data / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
