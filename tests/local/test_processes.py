"""Child processes are checked, restarted and stopped, and nothing is left running."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from marketprism.local import processes
from marketprism.local.broker import free_port
from marketprism.local.processes import Check, Child, Supervisor, listens, responds, says
from schemas.errors import StackError

READY_THEN_WAIT = "print('ready', flush=True); import time; time.sleep(60)"
UNRESPONSIVE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY_THEN_WAIT
POLITE = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit())); " + READY_THEN_WAIT


def python(folder: Path, code: str, name: str = "child", check: Check | None = None) -> Child:
    return Child(name, [sys.executable, "-c", code], folder / f"{name}.log", check or says("ready"), timeout=20)


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with Supervisor() as running:
        yield running


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def soon_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return gone(pid)


@pytest.mark.parametrize("check", [listens, responds])
def test_a_child_is_ready_when_its_port_answers(tmp_path: Path, check: Callable[[int], Check]) -> None:
    """`start` returns once the port is open, or answers HTTP, and not earlier."""
    port = free_port()
    server = Child("web", [sys.executable, "-m", "http.server", str(port)], tmp_path / "web.log", check(port))
    assert not check(port)(server)
    with server:
        assert check(port)(server)
    assert not check(port)(server)


def test_output_of_an_earlier_run_is_ignored(tmp_path: Path) -> None:
    """The readiness check only considers output since the start. The log keeps all output."""
    log = tmp_path / "child.log"
    log.write_text("ready, once\n")
    child = python(tmp_path, "import time; time.sleep(0.5); " + READY_THEN_WAIT)
    began = time.monotonic()
    with child:
        assert time.monotonic() - began > 0.5
    assert log.read_text() == "ready, once\nready\n"


def test_a_child_that_exits_at_startup_reports_why(tmp_path: Path) -> None:
    """The error contains the exit code and the last output."""
    with pytest.raises(StackError, match=r"(?s)exit code 3.*no such luck"):
        python(tmp_path, "import sys; print('no such luck'); sys.exit(3)").start()


def test_a_child_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    """After the timeout, the error says so, and the process is gone."""
    pids: list[int | None] = []

    def never(child: Child) -> bool:
        pids.append(child.pid)
        return False

    child = python(tmp_path, "import time; time.sleep(60)", check=never)
    child.timeout = 0.3
    with pytest.raises(StackError, match="not ready within"):
        child.start()
    assert pids[0]
    assert gone(pids[0])


def test_a_missing_command_is_reported(tmp_path: Path) -> None:
    """The error names the child."""
    with pytest.raises(StackError, match="cannot start ghost"):
        Child("ghost", ["/no/such/command"], tmp_path / "log", says("x")).start()


def test_a_stopped_child_can_clean_up(tmp_path: Path) -> None:
    """A child receives SIGTERM and has time to exit by itself."""
    with python(tmp_path, POLITE) as child:
        pass
    assert child.output() == "ready\nbye\n"


def test_grandchildren_are_killed(tmp_path: Path) -> None:
    """Even an unresponsive grandchild is gone after `stop`."""
    code = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {UNRESPONSIVE!r}]).pid); "
        + READY_THEN_WAIT
    )
    with python(tmp_path, code) as child:
        grandchild = int(child.output().split()[0])
        assert not gone(grandchild)
    assert soon_gone(grandchild)


async def test_a_dead_child_is_restarted(tmp_path: Path, supervisor: Supervisor) -> None:
    """A killed child is restarted as a new process, and the restart is counted. The others are left alone."""
    await supervisor.start(python(tmp_path, READY_THEN_WAIT, "steady"))
    await supervisor.start(python(tmp_path, READY_THEN_WAIT, "victim"))
    steady, victim = supervisor.statuses
    before = (steady.child.pid, victim.child.pid)
    assert before[1]
    os.kill(before[1], signal.SIGKILL)
    await until(lambda: victim.state == "restarting")
    await until(lambda: victim.state == "running")
    assert (victim.restarts, steady.restarts) == (1, 0)
    assert steady.child.pid == before[0]
    assert victim.child.alive()
    assert victim.child.pid != before[1]


async def test_restarts_back_off(tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a child that keeps dying, each restart waits longer than the previous one."""
    monkeypatch.setattr(processes, "_BACK_OFF", (0.2, 10.0))
    code = "import time; print(time.time(), 'ready', flush=True); time.sleep(0.3)"
    await supervisor.start(python(tmp_path, code, "weak"))
    [weak] = supervisor.statuses
    await until(lambda: weak.restarts == 3)
    await until(lambda: weak.state == "running" or weak.restarts > 3)
    starts = [float(line.split()[0]) for line in weak.child.log.read_text().splitlines()]
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses[0] < pauses[1] < pauses[2]


async def test_a_failed_first_start_is_an_error(tmp_path: Path, supervisor: Supervisor) -> None:
    """The first start is not retried but raises an error."""
    with pytest.raises(StackError, match="broken exited at startup"):
        await supervisor.start(python(tmp_path, "1 / 0", "broken"))


async def test_the_first_child_is_stopped_last(tmp_path: Path) -> None:
    """The others, which use it, are stopped side by side before."""
    order = tmp_path / "order"
    async with Supervisor() as supervisor:
        for name in ("first", "second", "third"):
            code = POLITE.replace("print('bye')", f"open({str(order)!r}, 'a').write('{name} ')")
            await supervisor.start(python(tmp_path, code, name))
    *others, last = order.read_text().split()
    assert (set(others), last) == ({"second", "third"}, "first")
    assert {status.state for status in supervisor.statuses} == {"stopped"}


async def test_one_child_can_be_retired(tmp_path: Path, supervisor: Supervisor) -> None:
    """A retired child is stopped and not restarted. The other one continues."""
    for name in ("kept", "retired"):
        await supervisor.start(python(tmp_path, POLITE, name))
    await supervisor.retire("retired")
    await asyncio.sleep(1)
    assert [(status.state, status.child.alive(), status.restarts) for status in supervisor.statuses] == [
        ("running", True, 0),
        ("stopped", False, 0),
    ]


async def test_unresponsive_children_do_not_delay_shutdown(tmp_path: Path) -> None:
    """If children ignore SIGTERM, the shutdown stays within its time limit, and the others exit by themselves."""
    async with Supervisor() as supervisor:
        await supervisor.start(python(tmp_path, POLITE, "polite"))
        for name in ("unresponsive1", "unresponsive2", "unresponsive3"):
            await supervisor.start(python(tmp_path, UNRESPONSIVE, name))
        pids = [status.child.pid for status in supervisor.statuses]
        began = time.monotonic()
        await supervisor.stop(within=2.0)
    assert time.monotonic() - began < 3
    assert all(pid and gone(pid) for pid in pids)
    assert "bye" in (tmp_path / "polite.log").read_text()


async def test_a_stop_during_a_restart_leaves_nothing_running(tmp_path: Path) -> None:
    """A child that is being restarted during the stop is stopped too, and not restarted again."""
    once = tmp_path / "once"
    code = f"import os, time; again = os.path.exists({str(once)!r}); open({str(once)!r}, 'w'); "
    code += "time.sleep(60 if again else 0); " + READY_THEN_WAIT
    async with Supervisor() as supervisor:
        await supervisor.start(python(tmp_path, code))
        [status] = supervisor.statuses
        assert status.child.pid
        os.kill(status.child.pid, signal.SIGKILL)
        await until(lambda: status.restarts == 1 and status.child.alive())
        pid = status.child.pid
    assert pid
    assert gone(pid)
    await asyncio.sleep(1)
    assert not status.child.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
    """After SIGKILL of the supervising process, its children are gone, even the unresponsive one."""
    code = f"""
import asyncio, sys
from pathlib import Path
from tests.local.test_processes import UNRESPONSIVE, READY_THEN_WAIT, python
from marketprism.local import processes
from marketprism.local.processes import Supervisor
async def main():
    async with Supervisor() as supervisor:
        for name, code in (("unresponsive", UNRESPONSIVE), ("plain", READY_THEN_WAIT)):
            await supervisor.start(python(Path({str(tmp_path)!r}), code, name))
        print(*(status.child.pid for status in supervisor.statuses), flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(gone(pid) for pid in pids)
        process.kill()
    assert all(soon_gone(pid) for pid in pids)


async def test_failed_restarts_are_retried(
    tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any error of a restart, even an unexpected one, is logged, and the restart is repeated until it succeeds."""
    monkeypatch.setattr(processes, "_BACK_OFF", (0.1, 0.2))
    errors = [OSError(24, "Too many open files"), MemoryError(), ValueError("never thought of"), None]

    class Troubled(Child):
        starts = 0

        def _prepare(self) -> None:
            self.starts += 1
            if self.starts > 1 and (error := errors.pop(0)):
                raise error

    child = Troubled("child", [sys.executable, "-c", READY_THEN_WAIT], tmp_path / "log", says("ready"), timeout=20)
    await supervisor.start(child)
    [status] = supervisor.statuses
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    await until(lambda: status.restarts == 4 and status.state == "running")
    assert not errors
    assert child.alive()


def test_out_of_descriptors(tmp_path: Path) -> None:
    """A start without a free file descriptor raises `StackError` and leaves nothing open."""
    child = python(tmp_path, READY_THEN_WAIT)
    taken = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(StackError, match="cannot start child"):
            child.spawn()
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with child:
        assert child.alive()


def test_an_unwritable_log_does_not_block_the_child(tmp_path: Path) -> None:
    """If the log cannot be written, the child starts, and its output is still available."""
    child = Child("child", [sys.executable, "-c", READY_THEN_WAIT], Path("/dev/full"), says("ready"), timeout=20)
    with child:
        assert child.output() == "ready\n"
    folder = tmp_path / "file"
    folder.touch()
    child = Child("child", [sys.executable, "-c", READY_THEN_WAIT], folder / "log", says("ready"), timeout=20)
    with child:
        assert child.output() == "ready\n"


def test_logs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless output fills the maximum number of files, of which the newest has the last lines."""
    monkeypatch.setattr("marketprism.local.child_log.LOG_BYTES", 200_000)
    code = "for n in range(20_000): print('a line of some length, number', n)\nprint('ready', flush=True)"
    with python(tmp_path, code + "\nimport time; time.sleep(60)") as child:
        assert child.log.read_text().endswith("ready\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["child.log", "child.log.1", "child.log.2"]
    assert all(path.stat().st_size <= 200_000 for path in tmp_path.iterdir())


def test_a_report_of_a_full_disk_is_detected(tmp_path: Path) -> None:
    """The message that Kafka logs when the disk is full is detected."""
    with python(tmp_path, f"print('java.io.IOException: No space left on device'); {READY_THEN_WAIT}") as child:
        assert child.disk_full_at > 0


def test_threads_and_descriptors_end_with_a_child(tmp_path: Path) -> None:
    """Repeated starts and stops leave no thread and no file descriptor."""
    process = psutil.Process()
    with python(tmp_path, READY_THEN_WAIT):
        pass
    before = process.num_fds(), threading.active_count()
    for _ in range(5):
        with python(tmp_path, READY_THEN_WAIT):
            pass
    assert (process.num_fds(), threading.active_count()) == before
