"""`python -m bench.rigs.bare_client PORT FRAMES`: subscribe, read and drop that number of frames, then print `read`."""

import asyncio
import sys

from websockets.asyncio.client import connect

from bench.rigs.loopback_exchange import BINANCE, SUBSCRIBE
from ingest.sockets import MAX_SIZE


async def _read(port: int, frames: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}{BINANCE}", max_size=MAX_SIZE, compression=None) as socket:
        await socket.send(SUBSCRIBE[BINANCE])
        await socket.recv(decode=False)
        print("subscribed", flush=True)
        for _ in range(frames):
            await socket.recv(decode=False)
        print("read", flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    port, frames = sys.argv[1:]
    asyncio.run(_read(int(port), int(frames)))


if __name__ == "__main__":
    main()
