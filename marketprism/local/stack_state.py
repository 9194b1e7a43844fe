"""Describe a stack in its data directory, so that other commands find a running one, and what it used after its end.

`stack.json` is in the data directory. A link in a directory of the user leads to each data directory in use, so that a
stack is found wherever its data is. A stack runs as long as it holds the lock of its data directory.
"""

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from pydantic import ValidationError

from schemas.errors import StackError
from schemas.settings import Settings, load_settings
from sinks.stack_lock import is_in_use

STATE_FILE = "stack.json"

Time = Annotated[float, Meta(ge=0, le=1e11)]


class Process(Struct):
    """A process of the stack; `pid` is 0 while it does not run."""

    name: str
    state: str
    pid: int
    restarts: int


class StackState(Struct, kw_only=True):
    """What `stack.json` says. `settings`: those that are not defaults. Times: seconds since the epoch; 0: not yet.

    `title` is empty if the file cannot be read.
    """

    title: str = ""
    pid: int = 0
    started_at: Time = 0.0
    stopped_at: Time = 0.0
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    processes: list[Process] = msgspec.field(default_factory=list)
    data: str = ""

    def write(self, data: Path) -> None:
        """Write it to a data directory, readable only for the user, as a setting may hold a password."""
        self.data = str(data)
        new = data / f"{STATE_FILE}.new"
        with contextlib.suppress(OSError):  # a full disk: the stack runs without it
            new.touch(mode=0o600)
            new.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
            new.replace(data / STATE_FILE)

    def apply(self, settings: Settings) -> Settings:
        """Return the stack's settings, except those that the user has set."""
        own = {"clickhouse": _clickhouse_in(self.data)}
        return load_settings(**{**own, **self.settings, **settings.model_dump(exclude_unset=True)})


def describe(title: str, settings: Settings) -> StackState:
    """Return the state of a stack that this process starts now."""
    changed = settings.model_dump(mode="json", exclude_unset=True)
    return StackState(title=title, pid=os.getpid(), started_at=time.time(), settings=changed)


def read_state(data: Path) -> StackState | None:
    """Return what a data directory says about its last stack, or None if there was none."""
    try:
        found = msgspec.json.decode((data / STATE_FILE).read_bytes(), type=StackState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, RecursionError):
        found = StackState()
    if not _usable(found.settings):
        found = StackState()
    if found.settings.get("clickhouse") == _clickhouse_in(found.data):
        del found.settings["clickhouse"]  # the directory may have been moved
    found.data = str(data.absolute())
    return found


def _clickhouse_in(data: str) -> str:
    """Return the setting for the embedded ClickHouse of a data directory."""
    return f"chdb://{Path(data) / 'clickhouse'}"


def _usable(settings: dict[str, Any]) -> bool:
    """Return whether all of these settings exist and have usable values."""
    try:
        Settings(**settings)
    except ValidationError as error:
        return not any(item["loc"][0] in settings for item in error.errors())  # others are the user's
    return True


@contextlib.contextmanager
def announced(data: Path) -> Iterator[None]:
    """Let other commands of this user find the data directory while the context is open."""
    directory = _directory()
    if directory is None:  # it is found by --data then
        yield
        return
    link = directory / str(os.getpid())
    with contextlib.suppress(OSError):
        link.unlink(missing_ok=True)
        link.symlink_to(data.absolute())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            link.unlink(missing_ok=True)


def running_stacks() -> list[StackState]:
    """Return the stacks of this user that run now. Links that killed stacks have left are removed."""
    found = []
    for link in _links():
        if not is_in_use(link.resolve()):
            with contextlib.suppress(OSError):
                link.unlink()
        elif state := read_state(link.resolve()):
            found.append(state)
    return sorted(found, key=lambda state: state.started_at)


def find_stack(data: Path | None = None) -> StackState | None:
    """Return the stack of a data directory, or the one that runs. Raise `StackError` if several run."""
    if data is not None:
        return read_state(data)
    running = running_stacks()
    if len(running) > 1:
        names = ", ".join(f"{state.data} ({state.title})" for state in running)
        raise StackError(f"{len(running)} stacks are running: select one with --data: {names}")
    return running[0] if running else None


def _directory() -> Path | None:
    """Return the directory of the links. Return None if others can change it: they could mislead this user."""
    directory = Path(tempfile.gettempdir()) / f"marketprism-stacks-{os.getuid()}"
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return directory
    return None


def _links() -> list[Path]:
    directory = _directory()
    with contextlib.suppress(OSError):
        if directory is not None:
            return [link for link in directory.iterdir() if link.name.isdecimal() and link.is_symlink()]
    return []
