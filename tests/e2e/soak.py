"""A soak: faults of sockets, hosts and proxies at random, while trades, gaps, memory and descriptors are watched.

`python -m tests.e2e.soak --seconds 1800 --seed 1` runs one; `test_soak.py` runs a short one. A seed repeats the choice
of faults, not their moments.
"""

import asyncio
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from marketprism.local.broker import Broker, free_port
from schemas.logs import configure_logs
from schemas.settings import load_settings
from tests.e2e.hostile_run import settings_for
from tests.e2e.soak_run import SoakReport, SoakRun

OUT = Path("bench/out/soak.json")


async def soak(seed: int, seconds: float, folder: Path) -> SoakReport:
    """Run a soak in a folder, with a broker of its own."""
    broker = Broker(folder / "kafka", free_port())
    await asyncio.to_thread(broker.start)
    try:
        return await SoakRun(await settings_for(broker, folder), seed, seconds, folder / "logs").run()
    finally:
        await asyncio.to_thread(broker.stop)


def main(
    seed: Annotated[int, typer.Option(help="seed of the faults")] = 1,
    seconds: Annotated[float, typer.Option(help="duration of the faults")] = 1800.0,
    out: Annotated[Path, typer.Option(help="file for the results")] = OUT,
) -> None:
    """Run a soak, print and write its results, and exit with 1 if there are problems."""
    configure_logs(load_settings(log_level="ERROR"))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it warns that every new topic has no leader yet
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        report = asyncio.run(soak(seed, seconds, Path(name)))
    out.parent.mkdir(parents=True, exist_ok=True)
    text = orjson.dumps(asdict(report), option=orjson.OPT_INDENT_2)
    out.write_bytes(text)
    typer.echo(text.decode())
    raise typer.Exit(bool(report.problems))


if __name__ == "__main__":
    typer.run(main)
