"""Press keys on a real terminal."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from typing import Any

import pytest


class Terminal:
    """A terminal with a process that reads its keys."""

    def __init__(self, mode: str) -> None:
        self._master, self._slave = pty.openpty()
        self.initial = self.mode()
        command = [sys.executable, "-m", "tests.local.keyboard_child", mode]
        self.process = subprocess.Popen(
            command, stdin=self._slave, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.read() == "ready"

    def mode(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    @property
    def raw(self) -> bool:
        """Whether single keys are read, and not shown."""
        return not self.mode()[3] & (termios.ICANON | termios.ECHO)

    def press(self, keys: str) -> list[str]:
        """Press keys and return what is reported of each."""
        reports = []
        for key in keys:
            os.write(self._master, key.encode())
            reports.append(self.read())
        return reports

    def write(self, data: bytes) -> None:
        os.write(self._master, data)

    def read(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._master)
        os.close(self._slave)


@contextlib.contextmanager
def running(mode: str = "") -> Iterator[Terminal]:
    """Run a process on a terminal of its own."""
    terminal = Terminal(mode)
    yield terminal
    terminal.close()


def test_keys_of_the_view() -> None:
    """Keys choose the view, pause it, filter it, and quit it."""
    with running("view") as terminal:
        assert terminal.raw
        assert terminal.press("\tn") == ["market False False", "arbitrage False False"]
        assert terminal.press("p ") == ["arbitrage True False", "arbitrage False False"]
        assert terminal.press("x") == ["arbitrage False False"]
        assert terminal.press("/q\x7feth")[-1] == "arbitrage False True ETH"
        assert terminal.press("\n") == ["arbitrage False False ETH"]
        assert terminal.press("\x1b") == ["arbitrage False False"]
        assert terminal.press("q") == ["arbitrage False False"]
        assert terminal.read() == "restored"
        assert terminal.mode() == terminal.initial
        assert terminal.process.wait(10) == 0


def test_arrow_keys_are_not_escape() -> None:
    """The sequences of arrow and function keys are ignored as a whole."""
    with running() as terminal:
        terminal.write(b"\x1b[A\x1b[15~\x1bOP")
        assert terminal.press("t") == ["t"]
        assert terminal.press("\x1b") == ["\x1b"]


@pytest.mark.parametrize("way", ["\x03", signal.SIGTERM])
def test_the_terminal_is_restored(way: str | signal.Signals) -> None:
    """After Ctrl-C and SIGTERM the terminal is as it was."""
    with running() as terminal:
        assert terminal.raw
        if isinstance(way, str):
            terminal.write(way.encode())
        else:
            terminal.process.send_signal(way)
        assert terminal.read() == "restored"
        assert terminal.mode() == terminal.initial
        assert terminal.process.wait(10) == 0


def test_the_terminal_is_restored_after_an_error() -> None:
    """An exception leaves the terminal as it was."""
    with running("raise") as terminal:
        assert terminal.process.wait(10) == 0
        assert terminal.mode() == terminal.initial


def test_in_the_background() -> None:
    """A process in the background leaves the terminal alone, since changing it would stop the process."""
    with running("background") as terminal:
        assert terminal.read() == "restored"
        assert terminal.process.wait(10) == 0


def test_without_a_terminal() -> None:
    """Without a terminal nothing is read."""
    command = [sys.executable, "-m", "tests.local.keyboard_child", "end"]
    result = subprocess.run(command, input="x", stdout=subprocess.PIPE, text=True, timeout=20)
    assert result.stdout == "ready\nrestored\n"
