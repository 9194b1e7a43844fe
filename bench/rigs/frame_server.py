"""`python -m bench.rigs.frame_server PORT FILE`: a loopback exchange that sends the file's frames, one a line.

`go` on the control path sends them all to the one connection that subscribed, as fast as it takes them; `sent` answers.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection

from bench.rigs.loopback_exchange import LoopbackExchange, on_the_wire

_EACH = 100  # frames of a write


def _no_depth(symbol: str) -> dict[str, Any]:
    return {"lastUpdateId": 0, "bids": [], "asks": []}


async def _serve(port: int, frames: list[bytes]) -> None:
    chunks = [b"".join(map(on_the_wire, frames[start : start + _EACH])) for start in range(0, len(frames), _EACH)]

    async def obey(control: ServerConnection, text: str) -> None:
        [connection] = exchange.subscribed
        for chunk in chunks:
            connection.transport.write(chunk)
            await connection.drain()
        await control.send("sent")

    exchange = LoopbackExchange(_no_depth, obey)
    async with exchange.serve(port):
        print("serving", flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    port, path = sys.argv[1:]
    asyncio.run(_serve(int(port), Path(path).read_bytes().splitlines()))


if __name__ == "__main__":
    main()
