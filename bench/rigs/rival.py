"""cryptofeed 2.4.1 as the rival, in an environment that is created at first use (`bench/out/cryptofeed`)."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.harness import Timed
from bench.rigs.frames import Frame

NAME = "cryptofeed 2.4.1"
_ENVIRONMENT = Path(__file__).parents[1] / "out" / "cryptofeed"
_SCRIPT = Path(__file__).parent / "cryptofeed_rival.py"


class NoRival(Exception):
    """The rival cannot be installed or started; the message says why."""


def _python() -> Path:
    python = _ENVIRONMENT / "bin" / "python"
    ready = _ENVIRONMENT / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "cryptofeed==2.4.1"]
        outcome = subprocess.run(install, capture_output=True, text=True, check=False)
        if outcome.returncode:
            raise NoRival(outcome.stderr.strip().splitlines()[-1])
        ready.touch()
    return python


@contextmanager
def cryptofeed(kind: str, symbols: Sequence[str], times: int, frames: Sequence[Frame]) -> Iterator[Timed]:
    """Yield a timed run of cryptofeed's class `kind` on these frames, repeated `times`, in frames per CPU second."""
    with tempfile.NamedTemporaryFile("wb", suffix=".frames") as file:
        for stamp, _, frame in frames:
            file.write(b"%d %s\n" % (stamp, frame))
        file.flush()
        command = [str(_python()), str(_SCRIPT), kind, file.name, str(times), *symbols]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise NoRival(f"cryptofeed ended at its start with exit code {process.wait()}")

            def run() -> float:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("run\n")
                process.stdin.flush()
                return times * len(frames) / float(process.stdout.readline())

            yield run
            process.stdin.close()
