"""Hostile runs: a share of the simulated exchanges' messages is mutated, and all others must be processed as usual.

`python -m tests.e2e.hostile --seeds 1-20 --seconds 60` runs many seeds; `test_hostile.py` runs two short ones. A seed
repeats the same mutations only if the frames come in the same order, so the results contain the bytes of failed frames.
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
from tests.e2e.hostile_run import HostileRun, Report, settings_for

OUT = Path("bench/out/hostile.json")


async def run_seeds(seeds: list[int], seconds: float, jobs: int, done: Callable[[Report], None]) -> list[Report]:
    """Run all seeds, `jobs` at a time, each on its own pipeline. `done` is called with each report."""
    free = asyncio.Semaphore(jobs)
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        with Broker(scratch / "kafka", free_port()) as broker:

            async def one(seed: int) -> Report:
                async with free:
                    folder = scratch / str(seed)
                    report = await HostileRun(await settings_for(broker, folder), seed, seconds, folder / "logs").run()
                    done(report)
                    return report

            return list(await asyncio.gather(*map(one, seeds)))


def table_of(reports: list[Report]) -> Table:
    """Return one row per seed. Trades lost: in mutated frames, and within reported losses."""
    numbers = ("messages", "mutated", "lines", "events", "dead letters", "trades lost", "gaps", "restarts", "problems")
    table = Table("seed", *numbers)
    for report in reports:
        counts = Counter(report.counts)
        table.add_row(
            str(report.seed),
            str(report.messages),
            _lines(report.mutated),
            f"{counts['unmutated lines']}\n{counts['mutated lines']} mutated",
            str(counts["events"]),
            str(sum(report.reasons.values())),
            f"{counts['trades mutated']}\n{counts['trades within a reported loss']}",
            _lines(report.gaps),
            str(sum(report.restarts.values())),
            str(len(report.problems)),
        )
    return table


def reasons_of(reports: list[Report]) -> Table:
    """Return the reasons for dead letters, and for lines without an event, of all seeds."""
    table = Table("", "lines", "reason", title="all seeds")
    for name, counts in (
        ("dead letter", sum((Counter(report.reasons) for report in reports), Counter[str]())),
        ("no event", sum((Counter(report.without_event) for report in reports), Counter[str]())),
    ):
        for reason, count in counts.most_common():
            table.add_row(name, str(count), escape(reason))
    return table


def _lines(counts: dict[str, int]) -> str:
    return "\n".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def seeds_of(text: str) -> list[int]:
    """Parse seeds: `1-3,7` → 1, 2, 3, 7."""
    parts = [part.partition("-") for part in text.split(",")]
    return [seed for first, _, last in parts for seed in range(int(first), int(last or first) + 1)]


def main(
    seeds: Annotated[str, typer.Option(help="seeds of the mutations, such as 1-20 or 3,5")] = "1-20",
    seconds: Annotated[float, typer.Option(help="duration of the mutations of one seed")] = 60.0,
    jobs: Annotated[int, typer.Option(help="seeds that run at the same time")] = 1,
    out: Annotated[Path, typer.Option(help="file for all results")] = OUT,
) -> None:
    """Run seeds, write their results, and exit with 1 if there are problems."""
    configure_logs(load_settings(log_level="ERROR"))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it warns that every new topic has no leader yet
    out.parent.mkdir(parents=True, exist_ok=True)
    reports: list[Report] = []

    def done(report: Report) -> None:
        reports.append(report)
        out.write_bytes(orjson.dumps([asdict(each) for each in reports], option=orjson.OPT_INDENT_2))
        for problem in report.problems or ["no problems"]:
            typer.echo(f"seed {report.seed}: {problem}")

    asyncio.run(run_seeds(seeds_of(seeds), seconds, jobs, done))
    Console().print(table_of(reports), reasons_of(reports))
    raise typer.Exit(any(report.problems for report in reports))


if __name__ == "__main__":
    typer.run(main)
