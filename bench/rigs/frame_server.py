"""`python -m bench.rigs.frame_server PORT FILE`: a loopback exchange that sends the frames of a file, one per line.

`go` on the control path sends them all to the only subscribed connection as fast as it reads; the answer is `sent`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection

from bench.rigs.loopback_exchange import LoopbackExchange, on_the_wire
from marketprism.simulator.exchanges.binance.frames import snapshot

_FRAMES_PER_WRITE = 100


def _no_depth(symbol: str) -> dict[str, Any]:
    return snapshot(0, [], [])


async def _serve(port: int, frames: list[bytes]) -> None:
    starts = range(0, len(frames), _FRAMES_PER_WRITE)
    chunks = [b"".join(map(on_the_wire, frames[start : start + _FRAMES_PER_WRITE])) for start in starts]

    async def on_control(control: ServerConnection, text: str) -> None:
        [connection] = exchange.subscribed
        for chunk in chunks:
            connection.transport.write(chunk)
            await connection.drain()
        await control.send("sent")

    exchange = LoopbackExchange(_no_depth, on_control)
    async with exchange.serve(port):
        print("serving", flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    port, path = sys.argv[1:]
    asyncio.run(_serve(int(port), Path(path).read_bytes().splitlines()))


if __name__ == "__main__":
    main()
