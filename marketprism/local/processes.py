"""Start child processes in order, each once the previous one is ready, restart them, and stop them in reverse order."""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import structlog

from marketprism.local.child_log import ChildLog
from marketprism.local.steps import Watch, unwatched
from schemas.errors import StackError

log = structlog.get_logger(__name__)

STOP_WITHIN = 6.5  # s for all children of a supervisor together
_BACK_OFF = (0.5, 10.0)  # s; the first and the longest pause before a restart
_STABLE_AFTER = 30.0  # s of running after which the pause is reset
_CHECK_EVERY = 0.1  # s
_OUTPUT_WAIT = 1.0  # s to wait for the last output of an ended child

Check = Callable[["Child"], bool]
State = Literal["starting", "running", "restarting", "stopped"]

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def listens(port: int) -> Check:
    """Return a check that passes when the port of loopback accepts connections."""
    return lambda child: is_listening(port)


def responds(port: int, path: str = "/") -> Check:
    """Return a check that passes when HTTP on that port of loopback answers 2xx."""

    def check(child: "Child") -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status // 100 == 2
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return check


def says(text: str) -> Check:
    """Return a check that passes when the child's output since its start contains the text."""
    return lambda child: text in child.output()


def is_listening(port: int) -> bool:
    """Return whether the port of loopback accepts connections."""
    try:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    except OSError:  # no file descriptor left to probe with
        return False


class Child:
    """Child process in its own process group. Its output is appended to `log`. It can be started again after it ended.

    `disk_full_at` is when it last reported a full disk (monotonic; 0: never).

    On Linux the child is killed when the thread that started it ends, for whatever reason. Start it from a thread that
    lives long enough.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        check: Check,
        environment: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.check = check
        self.environment = {**os.environ, **(environment or {})}
        self.timeout = timeout
        self.disk_full_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._output: ChildLog | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """Exit code as in `subprocess`: negative for a signal, None while it runs."""
        return self._process.poll() if self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Return whether the check passes. Raise `StackError` with the end of the output if the child has ended."""
        if not self.alive():
            raise StackError(
                f"{self.name} exited at startup (exit code {self.exit_code}), see its log {self.log}:\n{self.tail()}"
            )
        return self.check(self)

    def spawn(self) -> None:
        """Start the child without waiting until it is ready. Raise `StackError` if it cannot be started."""
        try:
            self._prepare()
            self._launch()
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:  # RuntimeError: no thread left
            raise StackError(f"cannot start {self.name}: {error}") from None

    def _prepare(self) -> None:
        """Prepare a start; a hook for subclasses."""

    def _launch(self) -> None:
        self._process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_kill_with_parent(os.getpid()),
        )
        assert self._process.stdout
        try:
            self._output = ChildLog(self._process.stdout, self.log, self._on_disk_full)
        except RuntimeError:
            self.kill()
            raise

    def _on_disk_full(self) -> None:
        self.disk_full_at = time.monotonic()

    def start(self) -> None:
        """Start the child and wait until it is ready."""
        self.spawn()
        deadline = time.monotonic() + self.timeout
        try:
            while not self.ready():
                if time.monotonic() > deadline:
                    raise self.timeout_error()
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise

    def timeout_error(self) -> StackError:
        """Return the error for a running child that did not become ready in time."""
        return StackError(
            f"{self.name} was not ready within {self.timeout:.0f} s, see its log {self.log}:\n{self.tail()}"
        )

    def stop(self, grace: float = 6.0) -> None:
        """Terminate the process group. Kill it after `grace` seconds."""
        self._signal(signal.SIGTERM)
        if self._process:
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                log.info("process did not terminate in time", process=self.name, seconds=round(grace, 1))
        self.kill()

    def kill(self) -> None:
        """Kill the process group with SIGKILL."""
        self._signal(signal.SIGKILL)
        if self._process:
            self._process.wait()
            if self._output:
                self._output.join(_OUTPUT_WAIT)
        self._process = None

    def output(self, size: int = 1_000_000) -> str:
        """Return the output since the start, or the last `size` bytes of it."""
        return self._output.text(size) if self._output else ""

    def tail(self) -> str:
        """Return the end of the output, for an error message."""
        return self.output(2000).strip()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
                return


def _kill_with_parent(parent: int) -> Callable[[], None] | None:
    """Return a function that makes the kernel kill the new process when its parent ends, even by SIGKILL."""
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before prctl took effect
            os._exit(1)

    return set_signal


@dataclass
class ChildStatus:
    """State of one supervised child."""

    child: Child
    state: State = "starting"
    restarts: int = 0

    @property
    def name(self) -> str:
        return self.child.name


class Supervisor:
    """Supervisor of child processes: `start` them one by one, see their `statuses`, and `stop` all."""

    def __init__(self, watch: Watch = unwatched) -> None:
        self.statuses: list[ChildStatus] = []
        self._watch = watch
        self._monitors: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, child: Child) -> None:
        """Start a child, wait until it is ready, then restart it whenever it dies.

        Raise `StackError` if this first start fails.
        """
        status = ChildStatus(child)
        self.statuses.append(status)
        try:
            with self._watch("start", child.name, child.timeout):
                child.spawn()
                await _ready(child)
        except StackError:
            child.kill()
            self.statuses.remove(status)
            raise
        status.state = "running"
        self._monitors[child.name] = asyncio.create_task(self._monitor(status), name=f"monitor {child.name}")

    async def retire(self, name: str, grace: float = 6.0) -> None:
        """Stop one child permanently, if there is such a child, within `grace` seconds. The others continue."""
        for status in self.statuses:
            if status.name == name:
                await self._stop_monitor(status)
                status.state = "stopped"  # already now, as its silence is on purpose
                await asyncio.to_thread(status.child.stop, grace)

    async def stop(self, within: float = STOP_WITHIN) -> None:
        """Stop all children, within this many seconds altogether, even if they ignore SIGTERM.

        The first one is what the others use. It is stopped last, and has what they leave of the time, at least a third.
        """
        for status in self.statuses:
            await self._stop_monitor(status)
        deadline = time.monotonic() + within
        first, others = self.statuses[:1], self.statuses[1:]
        await asyncio.gather(*(self._stop(status, within * 2 / 3) for status in reversed(others)))
        for status in first:
            await self._stop(status, deadline - time.monotonic())

    async def _stop(self, status: ChildStatus, grace: float) -> None:
        with self._watch("stop", status.name, grace):
            await asyncio.to_thread(status.child.stop, grace)
        status.state = "stopped"

    async def _stop_monitor(self, status: ChildStatus) -> None:
        if monitor := self._monitors.pop(status.name, None):
            monitor.cancel()
            await asyncio.wait([monitor])

    async def _monitor(self, status: ChildStatus) -> None:
        pause, longest = _BACK_OFF
        while True:
            since = time.monotonic()
            await self._until_ended(status)
            pause = _BACK_OFF[0] if time.monotonic() - since > _STABLE_AFTER else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
            await self._restart(status)

    async def _until_ended(self, status: ChildStatus) -> None:
        while status.child.alive():
            await asyncio.sleep(_CHECK_EVERY)
        status.state = "restarting"

    async def _restart(self, status: ChildStatus) -> None:
        status.restarts += 1
        exit_code = status.child.exit_code
        log.warning("process ended, restarting", process=status.name, exit_code=exit_code, restarts=status.restarts)
        try:
            status.child.kill()  # processes that it may have started itself
            status.child.spawn()
            await _ready(status.child)
        except Exception as error:  # noqa: BLE001 - after any error, the child must be restarted again
            log.error("process failed to restart", process=status.name, reason=error)
            status.child.kill()
        else:
            status.state = "running"


async def _ready(child: Child) -> None:
    deadline = time.monotonic() + child.timeout
    while not await asyncio.to_thread(child.ready):
        if time.monotonic() > deadline:
            raise child.timeout_error()
        await asyncio.sleep(0.05)
