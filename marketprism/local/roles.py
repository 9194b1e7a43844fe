"""Define how the pipeline's processes are started, and how their output shows that they are ready."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from marketprism.local.processes import Child, says


class Role(NamedTuple):
    """Kind of process: its name, its arguments to Python, and the text that it logs when it is ready."""

    name: str
    arguments: tuple[str, ...]
    ready: str

    def child(self, log: Path, environment: Mapping[str, str], *options: str) -> Child:
        """Return a child process in this role, not started yet."""
        return Child(self.name, [sys.executable, *self.arguments, *options], log, says(self.ready), environment)


SINK = Role("sink", ("-m", "sinks"), "partitions assigned")
WORKER = Role("worker", ("-m", "faust", "-A", "streams.app", "worker"), "books recovered")
INGEST = Role("ingest", ("-m", "ingest"), "connected")
JOBS = Role("jobs", ("-m", "marketprism.jobs"), "jobs scheduled")
DASHBOARD = Role("dashboard", ("-m", "marketprism.dashboard"), "serving the page")
SIMULATOR = Role("simulator", ("-m", "marketprism.simulator"), '"ws"')
