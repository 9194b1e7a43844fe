"""`python -m bench`: run all cases; print a table and write bench/out/results.json and bench/out/report.png.

`--full` takes longer and gives less spread. If cases are named, only those run, and nothing is written.
"""

import logging
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import structlog
import typer
from rich.console import Console
from rich.table import Table

from bench.cases import (
    api,
    book,
    candles,
    client,
    ingest,
    join,
    kinds,
    latency,
    memory,
    normalize,
    scaling,
    sink,
    start,
    worker,
)
from bench.harness import Result
from bench.report import draw
from bench.rigs.frames import Frame, load_frames

OUT = Path(__file__).parent / "out"

Case = Callable[[], list[Result]]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="run only these cases")] = None,
    full: Annotated[bool, typer.Option("--full", help="measure longer, for numbers to be quoted")] = False,
) -> None:
    """Run the benchmark cases, one after the other."""
    console = Console(width=150)
    logging.disable(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    source, frames = load_frames(400_000 if full else 100_000)
    cases = _selected(_cases(frames, full), names or [])
    head = (
        f"{len(frames):,} frames, {source}; {_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    console.print(head, highlight=False)
    results = [result for number, name in enumerate(cases, 1) for result in _run(console, number, name, cases)]
    console.print(_table(results))
    if not names:
        _write(source, head, results)


def _cases(frames: list[Frame], full: bool) -> dict[str, Case]:
    rounds = 5 if full else 3
    slow_rounds = 3 if full else 1
    return {
        "normalize": partial(normalize.measure, frames, rounds),
        "events": partial(normalize.measure_events, frames, rounds),
        "kinds": partial(kinds.measure, rounds),
        "candles": partial(candles.measure, frames, rounds),
        "book": book.measure,
        "join": join.measure,
        "ingest": partial(ingest.measure, frames, rounds=rounds),
        "worker": partial(worker.measure, frames, rounds),
        "sink": partial(sink.measure, rounds=rounds),
        "client": partial(client.measure, rounds),
        "api": partial(api.measure, rounds),
        "latency": partial(latency.measure, seconds=60.0 if full else 7.0, rounds=slow_rounds),
        "memory": partial(memory.measure, seconds=60.0 if full else 15.0, rounds=slow_rounds),
        "start": partial(start.measure, slow_rounds),
        "scaling": partial(scaling.measure, rounds=slow_rounds),
    }


def _selected(cases: dict[str, Case], names: list[str]) -> dict[str, Case]:
    if unknown := [name for name in names if name not in cases]:
        raise typer.BadParameter(f"unknown cases {', '.join(unknown)}: known cases are {', '.join(cases)}")
    return {name: cases[name] for name in names or cases}


def _run(console: Console, number: int, name: str, cases: dict[str, Case]) -> list[Result]:
    title, began = f"{number} of {len(cases)}: {name}", time.monotonic()
    with console.status(f"{title} …"):
        results = cases[name]()
    console.print(f"{title}, {time.monotonic() - began:.0f} s", highlight=False)
    return results


def _write(source: str, head: str, results: list[Result]) -> None:
    OUT.mkdir(exist_ok=True)
    machine = {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()}
    measured = {"frames": source, "machine": machine, "cases": [result.as_dict() for result in results]}
    (OUT / "results.json").write_bytes(orjson.dumps(measured, option=orjson.OPT_INDENT_2))
    draw(results, head, OUT / "report.png")


def _processor() -> str:
    """Return the processor's model if the kernel reports it, otherwise its architecture."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return models[0].partition(":")[2].strip() if models else platform.machine()


def _table(results: list[Result]) -> Table:
    table = Table("case", "ours", "other", "other is", "ratio", "spread", box=None, header_style="dim")
    for result in results:
        digits = 0 if result.ours >= 100 else 2
        table.add_row(
            result.name,
            f"{result.ours:,.{digits}f} {result.unit}",
            f"{result.other:,.{digits}f}",
            result.other_name + (" (rival)" if result.is_rival else ""),
            f"{result.ratio:.2f}",
            f"{result.spread[0]:.2f} to {result.spread[1]:.2f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
