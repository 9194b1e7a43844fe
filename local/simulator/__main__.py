"""`python -m local.simulator`: simulated exchanges as a process, commanded over HTTP on the control port.

Prints one JSON line with the endpoints. `GET /planted`, `POST /plant {"symbol", "buy_feed", "sell_feed", "bps",
"duration"}`, `POST /fault {"kind", "feed", "symbol", …}`.
"""

import asyncio
import contextlib
import random
import signal
import sys
from typing import Annotated, Any

import orjson
import typer
from aiohttp import web

from local.simulator.simulators import EXCHANGES, Simulators
from schemas.errors import MarketPrismError
from schemas.logs import configure_logs
from schemas.settings import load_settings

_PAIRS = (
    ("BTC-USDT", "binance-spot", 40.0),
    ("BTC-USDT-PERP", "binance-usdm", 25.0),
    ("ETH-USDT", "binance-spot", 35.0),
)


async def _control(simulators: Simulators, port: int) -> web.AppRunner:
    async def plant(request: web.Request) -> web.Response:
        return await _answer(simulators.plant(**orjson.loads(await request.read())))

    async def fault(request: web.Request) -> web.Response:
        details = orjson.loads(await request.read())
        if "payload" in details:
            details["payload"] = details["payload"].encode()
        return await _answer(simulators.fault(**details))

    async def planted(request: web.Request) -> web.Response:
        return web.json_response([plant.as_dict() for plant in simulators.planted])

    app = web.Application()
    app.add_routes([web.post("/plant", plant), web.post("/fault", fault), web.get("/planted", planted)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def _answer(done: Any) -> web.Response:
    try:
        return web.json_response((await done).as_dict())
    except (MarketPrismError, TypeError) as error:
        return web.json_response({"error": str(error)}, status=400)


async def _plant_now_and_then(simulators: Simulators, every: float, seed: int) -> None:
    """An arbitrage each so often, in turn, either way round."""
    chance = random.Random(seed)
    while True:
        await asyncio.sleep(every * chance.uniform(0.5, 1.5))
        symbol, feed, bps = chance.choice(_PAIRS)
        sides = chance.sample([feed, "okx"], 2)
        with contextlib.suppress(MarketPrismError):  # one of the feeds is not simulated, or is planted already
            await simulators.plant(symbol, sides[0], sides[1], bps * chance.uniform(0.8, 1.5), chance.uniform(0.8, 3))


async def _run(feeds: list[str], seed: int, interval: float, quotes: int, port: int, every: float) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Simulators(feeds, seed, interval, quotes) as simulators:
        runner = await _control(simulators, port)
        sys.stdout.write(orjson.dumps(simulators.endpoints).decode() + "\n")
        sys.stdout.flush()
        planting = asyncio.create_task(_plant_now_and_then(simulators, every, seed)) if every else None
        await stopped.wait()
        if planting:
            planting.cancel()
        await runner.cleanup()


def main(
    feed: Annotated[list[str] | None, typer.Option(help=f"feeds, of: {', '.join(EXCHANGES)}; all by default")] = None,
    seed: Annotated[int, typer.Option(help="of prices, books and planted arbitrages")] = 1,
    interval: Annotated[float, typer.Option(help="seconds between book updates of an instrument")] = 0.1,
    quotes: Annotated[int, typer.Option(help="BBO frames to each book update")] = 3,
    control_port: Annotated[int, typer.Option(help="port of the control server; 0 for any")] = 0,
    arbitrage_every: Annotated[float, typer.Option(help="seconds between planted arbitrages; 0 for none")] = 0.0,
) -> None:
    """Simulated exchanges on loopback."""
    configure_logs(load_settings())
    asyncio.run(_run(feed or list(EXCHANGES), seed, interval, quotes, control_port, arbitrage_every))


if __name__ == "__main__":
    typer.run(main)
