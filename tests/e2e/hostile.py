"""The hostile run: a part of all that the simulated exchanges send is mutated, and everything else must come through.

`python -m tests.e2e.hostile --seeds 1-20 --seconds 60` runs many; `test_hostile.py` runs two short ones. A seed fixes
what is mutated into what as far as the order of frames is the same: what failed stands in the results with its bytes.
"""

import asyncio
import logging
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from marketprism.local.broker import Broker, free_port
from schemas.logs import configure_logs
from schemas.settings import load_settings
from tests.e2e.hostile_run import Report, Run, settings_for

OUT = Path("bench/out/hostile.json")


async def run_seeds(seeds: list[int], seconds: float, jobs: int, done: Callable[[Report], None]) -> list[Report]:
    """All seeds, so many at a time, each on a pipeline of its own; `done` is told each report."""
    free = asyncio.Semaphore(jobs)
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        with Broker(scratch / "kafka", free_port()) as broker:

            async def one(seed: int) -> Report:
                async with free:
                    folder = scratch / str(seed)
                    report = await Run(await settings_for(broker, folder), seed, seconds, folder / "logs").run()
                    done(report)
                    return report

            return list(await asyncio.gather(*map(one, seeds)))


def table_of(reports: list[Report]) -> Table:
    """A row a seed. Trades lost: in frames that were mutated, and within losses that are reported."""
    numbers = ("messages", "mutated", "lines", "events", "dead letters", "trades lost", "gaps", "restarts", "problems")
    table = Table("seed", *numbers)
    for report in reports:
        counts = Counter(report.counts)
        table.add_row(
            str(report.seed),
            str(report.messages),
            _written(report.mutated),
            f"{counts['untouched lines']}\n{counts['mutated lines']} mutated",
            str(counts["events"]),
            str(sum(report.reasons.values())),
            f"{counts['trades mutated']}\n{counts['trades within a told loss']}",
            _written(report.gaps),
            str(sum(report.restarts.values())),
            str(len(report.problems)),
        )
    return table


def reasons_of(reports: list[Report]) -> Table:
    """The dead letters of all seeds by reason, and why lines led to no event."""
    table = Table("", "lines", "what became of them", title="all seeds")
    for name, counts in (
        ("dead letter", sum((Counter(report.reasons) for report in reports), Counter[str]())),
        ("no event", sum((Counter(report.silent) for report in reports), Counter[str]())),
    ):
        for reason, count in counts.most_common():
            table.add_row(name, str(count), escape(reason))
    return table


def _written(counts: dict[str, int]) -> str:
    return "\n".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def seeds_of(text: str) -> list[int]:
    """`1-3,7` → 1, 2, 3, 7."""
    parts = [part.partition("-") for part in text.split(",")]
    return [seed for first, _, last in parts for seed in range(int(first), int(last or first) + 1)]


def main(
    seeds: Annotated[str, typer.Option(help="of what is mutated: 1-20 or 3,5")] = "1-20",
    seconds: Annotated[float, typer.Option(help="of mutations, a seed")] = 60.0,
    jobs: Annotated[int, typer.Option(help="seeds at a time")] = 1,
    out: Annotated[Path, typer.Option(help="where all results go")] = OUT,
) -> None:
    """Run seeds, write their results, and exit with 1 if any has problems."""
    configure_logs(load_settings(log_level="ERROR"))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every new topic that it has no leader yet
    out.parent.mkdir(parents=True, exist_ok=True)
    reports: list[Report] = []

    def done(report: Report) -> None:
        reports.append(report)
        out.write_bytes(orjson.dumps([asdict(each) for each in reports], option=orjson.OPT_INDENT_2))
        for problem in report.problems or ["all is well"]:
            typer.echo(f"seed {report.seed}: {problem}")

    asyncio.run(run_seeds(seeds_of(seeds), seconds, jobs, done))
    Console().print(table_of(reports), reasons_of(reports))
    raise typer.Exit(any(report.problems for report in reports))


if __name__ == "__main__":
    typer.run(main)
