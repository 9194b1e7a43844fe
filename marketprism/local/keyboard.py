"""Read single keys from the terminal while the live view is shown."""

import asyncio
import contextlib
import os
import re
import sys
import termios
import tty
from collections.abc import Callable, Iterator

_SEQUENCE = re.compile(r"\x1b[\[O][0-9;?]*[ -/]*[@-~]")  # of an arrow or function key, which comes in one piece


@contextlib.contextmanager
def keyboard(press: Callable[[str], None]) -> Iterator[None]:
    """Call `press` with each key, and restore the terminal in the end. Do nothing if there is no terminal to read.

    Ctrl-C and Ctrl-Z keep their meaning.
    """
    if not _is_ours():
        yield
        return
    stdin = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(stdin)
    try:
        tty.setcbreak(stdin, termios.TCSANOW)
        loop.add_reader(stdin, _read, stdin, press)
        yield
    finally:
        loop.remove_reader(stdin)
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(stdin, termios.TCSANOW, before)


def _is_ours() -> bool:
    """Return whether standard input is a terminal and this process is in its foreground.

    In the background, changing the terminal would stop the process.
    """
    try:
        stdin = sys.stdin.fileno()
        return os.isatty(stdin) and os.tcgetpgrp(stdin) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # closed or replaced
        return False


def _read(stdin: int, press: Callable[[str], None]) -> None:
    try:
        data = os.read(stdin, 1024)
    except OSError:
        data = b""
    if not data:  # the terminal is gone
        asyncio.get_running_loop().remove_reader(stdin)
    for key in _SEQUENCE.sub("", data.decode(errors="ignore")):
        press(key)
