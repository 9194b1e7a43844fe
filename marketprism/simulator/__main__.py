"""`python -m marketprism.simulator`: run the simulated exchanges as a process.

It prints their addresses as one line of JSON on stdout.
"""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Any

import orjson
import structlog
import typer

from marketprism.simulator.http_control import Control
from marketprism.simulator.simulators import SERVERS, Simulators
from schemas.errors import MarketPrismError, SettingsError
from schemas.logs import configure_logs
from schemas.settings import load_settings

_log = structlog.get_logger(__name__)


def main(
    feed: Annotated[
        list[str] | None, typer.Option(help=f"simulate this feed: {', '.join(SERVERS)}; repeatable; default: all")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of the random market")] = 1,
    rate: Annotated[float, typer.Option(help="factor on book changes and trades; 0: nothing changes")] = 1.0,
    levels: Annotated[int, typer.Option(help="levels of each side of a book")] = 50,
    control_port: Annotated[int, typer.Option(help="port of the control interface; 0: any free port")] = 0,
    arbitrage_every: Annotated[float, typer.Option(help="seconds between random arbitrages; 0: none")] = 0.0,
    settings: Annotated[
        Path | None, typer.Option(help="settings file to write, with which ingest connects to these exchanges")
    ] = None,
) -> None:
    """Run simulated exchanges on loopback until SIGINT or SIGTERM.

    Their addresses are printed as one line of JSON.
    """
    try:
        configure_logs(load_settings())
        simulators = Simulators(feed or list(SERVERS), seed=seed, rate=rate, levels=levels)
        asyncio.run(_run(simulators, control_port, arbitrage_every, seed, settings))
    except MarketPrismError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _run(
    simulators: Simulators, control_port: int, arbitrage_every: float, seed: int, settings: Path | None
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    control = Control(simulators)
    async with simulators:
        try:
            port = await control.start(control_port)
            addresses = {"endpoints": simulators.endpoints, "control": f"http://127.0.0.1:{port}"}
            if settings is not None:
                _write_settings(settings, simulators.endpoints)
            typer.echo(orjson.dumps(addresses).decode())
            await _run_until(stop, simulators, arbitrage_every, seed)
        finally:
            await control.stop()


def _write_settings(path: Path, endpoints: dict[str, dict[str, str]]) -> None:
    """Write the addresses as a settings file."""
    tables = (
        f"[endpoints.{feed}]\n" + "".join(f'{name} = "{address}"\n' for name, address in addresses.items())
        for feed, addresses in endpoints.items()
    )
    try:
        path.write_text("\n".join(tables))
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None


async def _run_until(stop: asyncio.Event, simulators: Simulators, arbitrage_every: float, seed: int) -> None:
    tasks: set[asyncio.Task[Any]] = {asyncio.create_task(stop.wait())}
    if arbitrage_every and not simulators.arbitrage_pairs():
        _log.warning("no two feeds list the same symbol, so no arbitrage is planted")
    elif arbitrage_every:
        tasks.add(asyncio.create_task(simulators.plant_arbitrages(arbitrage_every, seed)))
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


if __name__ == "__main__":
    typer.run(main)
