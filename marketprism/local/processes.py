"""Child processes: started in order, each checked until ready, restarted when they die, stopped in reverse order."""

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
from schemas.errors import StackError

log = structlog.get_logger(__name__)

STOP_WITHIN = 9.0  # s; all of a supervisor's children together
_BACK_OFF = (0.5, 10.0)  # s; the first pause before a restart, and the longest
_STEADY = 30.0  # s of life after which a child's next pause is the first again
_LOOK_EVERY = 0.1  # s
_LAST_WORDS = 1.0  # s until the output of an ended child is complete

Check = Callable[["Child"], bool]
State = Literal["starting", "running", "restarting", "stopped"]

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def listens(port: int) -> Check:
    """Ready when the port of loopback accepts connections."""
    return lambda child: answers(port)


def responds(port: int, path: str = "/") -> Check:
    """Ready when HTTP on that port of loopback answers 2xx."""

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
    """Ready when the child's output since its start contains the text."""
    return lambda child: text in child.output()


def answers(port: int) -> bool:
    """Whether somebody accepts connections on the port of loopback."""
    try:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    except OSError:  # no descriptor left: nobody can be asked
        return False


class Child:
    """One process in a group of its own, its output appended to `log`. It may be started again after it ended.

    `disk_full_at` is when it last reported a full disk (monotonic; 0: never).

    On Linux it is killed when the thread that started it ends, however that comes: start it from a lasting one.
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
        """As `subprocess` gives it: negative for a signal, None while it runs."""
        return self._process.poll() if self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Whether its check passes; `StackError` with the end of its output when it has ended."""
        if not self.alive():
            raise StackError(
                f"{self.name} ended at its start (exit code {self.exit_code}); its log {self.log} ends:\n{self.tail()}"
            )
        return self.check(self)

    def spawn(self) -> None:
        """Start it without waiting until it is ready; `StackError` where it cannot be started."""
        try:
            self._prepare()
            self._launch()
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:  # RuntimeError: no thread left
            raise StackError(f"{self.name} cannot be started: {error}") from None

    def _prepare(self) -> None:
        """Do what has to be done before each start."""

    def _launch(self) -> None:
        self._process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_dying_with(os.getpid()),
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
        """Start it and wait until it is ready."""
        self.spawn()
        deadline = time.monotonic() + self.timeout
        try:
            while not self.ready():
                if time.monotonic() > deadline:
                    raise self.late()
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise

    def late(self) -> StackError:
        """The error of a child that runs and does not become ready."""
        return StackError(
            f"{self.name} was not ready within {self.timeout:.0f} s; its log {self.log} ends:\n{self.tail()}"
        )

    def stop(self, grace: float = 6.0) -> None:
        """Ask its group to end; after `grace` seconds, make it."""
        self._signal(signal.SIGTERM)
        if self._process:
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                log.warning("process did not end when asked", process=self.name, seconds=round(grace, 1))
        self.kill()

    def kill(self) -> None:
        """Kill its group as a power cut would."""
        self._signal(signal.SIGKILL)
        if self._process:
            self._process.wait()
            if self._output:
                self._output.join(_LAST_WORDS)
        self._process = None

    def output(self, most: int = 1_000_000) -> str:
        """What it wrote since its start; of very much, the end."""
        return self._output.text(most) if self._output else ""

    def tail(self) -> str:
        """The end of its output, for an error."""
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
            except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
                return


def _dying_with(parent: int) -> Callable[[], None] | None:
    """Run in the new process: the kernel shall kill it when its parent is gone, even by SIGKILL."""
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before this was said
            os._exit(1)

    return set_signal


@dataclass
class Status:
    """What a supervisor knows of one child."""

    child: Child
    state: State = "starting"
    restarts: int = 0

    @property
    def name(self) -> str:
        return self.child.name


class Supervisor:
    """Keeps children alive: `await start(child)` one after the other, `statuses` to look, `await stop()` for all."""

    def __init__(self) -> None:
        self.statuses: list[Status] = []
        self._keepers: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, child: Child) -> None:
        """Start a child, wait until it is ready, and keep it so; `StackError` when it does not come up."""
        status = Status(child)
        self.statuses.append(status)
        child.spawn()
        await _ready(child)
        status.state = "running"
        self._keepers[child.name] = asyncio.create_task(self._keep(status), name=f"keep {child.name}")

    async def retire(self, name: str) -> None:
        """Stop one child for good; the others go on."""
        [status] = [status for status in self.statuses if status.name == name]
        await self._release(status)
        await asyncio.to_thread(status.child.stop)
        status.state = "stopped"

    async def stop(self) -> None:
        """Stop all in reverse order, within 10 seconds in all, whatever they do."""
        for status in self.statuses:
            await self._release(status)
        deadline = time.monotonic() + STOP_WITHIN
        reserved = STOP_WITHIN / 2 / max(1, len(self.statuses))  # s for each, however long those before it take
        for left, status in reversed(list(enumerate(self.statuses))):
            grace = max(reserved, deadline - time.monotonic() - left * reserved)
            await asyncio.to_thread(status.child.stop, grace)
            status.state = "stopped"

    async def _release(self, status: Status) -> None:
        if keeper := self._keepers.pop(status.name, None):
            keeper.cancel()
            await asyncio.wait([keeper])

    async def _keep(self, status: Status) -> None:
        pause, longest = _BACK_OFF
        while True:
            since = time.monotonic()
            await self._until_dead(status)
            pause = _BACK_OFF[0] if time.monotonic() - since > _STEADY else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
            await self._restart(status)

    async def _until_dead(self, status: Status) -> None:
        while status.child.alive():
            await asyncio.sleep(_LOOK_EVERY)
        status.state = "restarting"

    async def _restart(self, status: Status) -> None:
        status.restarts += 1
        exit_code = status.child.exit_code
        log.warning("process ended, restarting it", process=status.name, exit_code=exit_code, restarts=status.restarts)
        try:
            status.child.kill()  # what it may have started itself
            status.child.spawn()
            await _ready(status.child)
        except Exception as error:  # noqa: BLE001 - whatever it is, a child that nobody restarts would be worse
            log.error("process does not come up", process=status.name, reason=str(error) or repr(error))
            status.child.kill()
        else:
            status.state = "running"


async def _ready(child: Child) -> None:
    deadline = time.monotonic() + child.timeout
    while not await asyncio.to_thread(child.ready):
        if time.monotonic() > deadline:
            raise child.late()
        await asyncio.sleep(0.05)
