"""Memory of ingest, a worker and the sink, at rest and while all simulated exchanges send, each beside its floor.

At rest everything is connected, subscribed and restored, and the market is paused. Under load the maximum of several
samples counts. The floors do only what cannot be avoided: Faust with one agent that reads the same topics at the same
time and does nothing; Python with ingest's libraries; Python with the engine and an open session. The resident set is
measured, including shared libraries.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import aiohttp
import psutil

from bench.harness import Result, from_pairs
from bench.rigs.raw_topics import BYTECODE
from marketprism.local.processes import Child, says
from marketprism.local.stack import Stack
from schemas.settings import load_settings

_SETTLE_S = 4.0  # until everything is at rest
_SAMPLE_INTERVAL_S = 0.5
_WAIT = "import time; print('ready', flush=True); time.sleep(3600)"
_FLOORS = {
    "ingest": "aiokafka, websockets and pydantic imported",
    "worker": "Faust with an agent that does nothing",
    "sink": "chDB with a session open",
}

Sizes = Mapping[str, float]  # MB by process


def measure(seconds: float = 15.0, rounds: int = 1) -> list[Result]:
    """Measure the memory of each process at rest, and during `seconds` of load."""
    sizes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for when, measured in asyncio.run(_round(seconds)).items():
            for process, size in measured.items():
                sizes[process, when].append(size)
    return [
        from_pairs(f"memory: {name} {when}", "MB", floor, sizes[name, when], sizes[f"bare {name}", when])
        for name, floor in _FLOORS.items()
        for when in ("at rest", "under load")
    ]


async def _round(seconds: float) -> dict[str, Sizes]:
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, BYTECODE):
        async with _running(Path(folder)) as (children, control):
            await asyncio.sleep(_SETTLE_S)
            rest = _sizes(children)
            await _post(control, "resume")
            maximum = dict(rest)
            for _ in range(round(seconds / _SAMPLE_INTERVAL_S)):
                await asyncio.sleep(_SAMPLE_INTERVAL_S)
                maximum = {name: max(maximum[name], size) for name, size in _sizes(children).items()}
    return {"at rest": rest, "under load": maximum}


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[tuple[list[Child], str]]:
    """Start everything with a paused market; yield the processes and the address of the simulator's control."""
    async with Stack(load_settings(), folder) as stack, AsyncExitStack() as bare:
        await stack.start_storage()
        await stack.start_worker()
        await stack.start_simulators(seed=1, arbitrage_every=5.0)
        children = {status.name: status.child for status in stack.supervisor.statuses}
        control = _control_address(children["simulator"])
        await _post(control, "pause")
        await stack.start_ingest()
        floors = _bare(folder, stack.settings.environment())
        for child in floors:
            bare.enter_context(child)
        children = {status.name: status.child for status in stack.supervisor.statuses}
        yield [*(children[name] for name in _FLOORS), *floors], control


def _bare(folder: Path, environment: Mapping[str, str]) -> list[Child]:
    worker = ["-m", "faust", "-A", "bench.rigs.bare_worker", "worker", "-l", "info", "--without-web"]
    session = f"import chdb; session = chdb.connect({str(folder / 'bare')!r}); session.query('SELECT 1'); {_WAIT}"
    commands = {
        "ingest": (["-c", f"import aiokafka, pydantic, websockets; {_WAIT}"], "ready"),
        "worker": (worker, "Worker ready"),
        "sink": (["-c", session], "ready"),
    }
    return [
        Child(f"bare {name}", [sys.executable, *arguments], folder / f"bare-{name}.log", says(ready), environment)
        for name, (arguments, ready) in commands.items()
    ]


def _sizes(children: list[Child]) -> dict[str, float]:
    return {child.name: psutil.Process(child.pid).memory_info().rss / 1e6 for child in children}


def _control_address(simulator: Child) -> str:
    [line] = [line for line in simulator.output().splitlines() if line.startswith("{") and '"control"' in line]
    return str(json.loads(line)["control"])


async def _post(control: str, command: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{control}/_control/{command}") as response:
        response.raise_for_status()
