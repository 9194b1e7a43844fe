"""`python -m bench`: every case, as a table and in bench/out/results.json."""

import logging
import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson
import structlog
from rich.console import Console
from rich.table import Table

from bench import book, join, normalize, sink, worker
from bench.cases import Result
from bench.frames import load_frames

OUT = Path(__file__).parent / "out"


def main() -> None:
    console = Console(width=130)
    logging.disable(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    source, frames = load_frames(100_000)
    console.print(f"{len(frames):,} frames, {source}; {platform.machine()}, {os.cpu_count()} cores; per second of CPU")
    results: list[Result] = []
    cases: dict[str, Callable[[], list[Result]]] = {
        "normalize and book": partial(normalize.measure, frames),
        "events": partial(normalize.measure_events, frames),
        "book": book.measure,
        "join": join.measure,
        "worker": partial(worker.measure, frames),
        "sink": sink.results,
    }
    for title, run in cases.items():
        with console.status(f"measuring: {title} …"):
            results += run()
    console.print(_table(results))
    OUT.mkdir(exist_ok=True)
    report = {"frames": source, "machine": platform.machine(), "cores": os.cpu_count()}
    measured = {"cases": [result.as_dict() for result in results]}
    (OUT / "results.json").write_bytes(orjson.dumps(report | measured, option=orjson.OPT_INDENT_2))


def _table(results: list[Result]) -> Table:
    table = Table("case", "ours", "other", "other is", "ratio", "spread", box=None, header_style="dim")
    for result in results:
        table.add_row(
            result.name,
            f"{result.ours:,.0f} {result.unit}",
            f"{result.other:,.0f}",
            result.other_name + (" (rival)" if result.is_rival else ""),
            f"{result.ratio:.2f}",
            f"{result.spread[0]:.2f} to {result.spread[1]:.2f}",
        )
    return table


if __name__ == "__main__":
    main()
