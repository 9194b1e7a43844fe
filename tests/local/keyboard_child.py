"""Child of `test_keyboard`: read the keys of a terminal, and print each, or what the view makes of it."""

import asyncio
import contextlib
import fcntl
import signal
import subprocess
import sys
import termios
from collections.abc import Callable

from marketprism.local.keyboard import keyboard


async def main(mode: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with keyboard(following(stop) if mode == "view" else report):
        report("ready")
        if mode == "raise":
            raise RuntimeError
        if mode != "end":
            await stop.wait()
    report("restored")


def following(stop: asyncio.Event) -> Callable[[str], None]:
    """Return what passes keys to the view's controls."""
    from marketprism.local.view import Controls  # takes a second

    controls = Controls(stop.set)

    def press(key: str) -> None:
        controls.press(key)
        report(controls.view, controls.paused, controls.typing, controls.filter)

    return press


def report(*values: object) -> None:
    sys.stdout.write(" ".join(map(str, values)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.stdin.isatty() and sys.argv[1] != "end":  # make it the controlling terminal
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if sys.argv[1] == "background":
        command = [sys.executable, "-m", "tests.local.keyboard_child", "end"]
        sys.exit(subprocess.run(command, process_group=0, timeout=20).returncode)
    with contextlib.suppress(RuntimeError):
        asyncio.run(main(sys.argv[1]))
