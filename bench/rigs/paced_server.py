"""`python -m bench.rigs.paced_server PORT`: a loopback exchange that sends both feeds' frames at a steady rate.

A number on the control path is the rate a second from then on. Frames go out each 2 ms, as many as are due. At `REST`
there are just enough for the connections and books to stay as they are.
"""

import asyncio
import sys
import time
from collections import defaultdict
from typing import Any

from websockets.asyncio.server import ServerConnection

from bench.rigs.loopback_exchange import BINANCE, OKX, LoopbackExchange, on_the_wire
from bench.rigs.paced_frames import BinanceInstrument, Instrument, OkxInstrument

REST = 20  # frames a second
_TICK = 0.002  # s
_MOVING_FRAMES = 500  # rate at which each BBO of a moving instrument moves; above it, as many a second as there


class PacedExchange:
    def __init__(self) -> None:
        self.rate = REST
        self._binance = {base: BinanceInstrument(base, base == "ETH") for base in ("BTC", "ETH")}
        self._okx = {base: OkxInstrument(base, base == "BTC") for base in ("BTC", "ETH")}
        self._exchange = LoopbackExchange(self._depth, self._obey)
        self._sent_first: set[ServerConnection] = set()

    async def run(self, port: int) -> None:
        async with self._exchange.serve(port):
            print("serving", flush=True)
            while True:
                await self._pace(self.rate)

    def _depth(self, symbol: str) -> dict[str, Any]:
        return self._binance[symbol.removesuffix("USDT")].snapshot()

    async def _obey(self, control: ServerConnection, text: str) -> None:
        self.rate = int(text)

    async def _pace(self, rate: int) -> None:
        """Until the rate is another."""
        begin, sent = time.monotonic(), 0
        instruments = [*self._binance.values(), *self._okx.values()]
        while self.rate == rate:
            due = int((time.monotonic() - begin) * rate)
            self._send([instruments[number % len(instruments)] for number in range(sent, due)], _MOVING_FRAMES / rate)
            sent = due
            await asyncio.sleep(_TICK)

    def _send(self, instruments: list[Instrument], chance_of_move: float) -> None:
        frames: dict[str, list[bytes]] = defaultdict(list)
        for instrument in instruments:
            path = OKX if isinstance(instrument, OkxInstrument) else BINANCE
            frames[path].append(on_the_wire(instrument.frame(chance_of_move)))
        for connection in self._exchange.subscribed:
            path = connection.request.path if connection.request else ""
            if path == OKX and connection not in self._sent_first:
                self._sent_first.add(connection)
                frames[path][:0] = [on_the_wire(instrument.snapshot()) for instrument in self._okx.values()]
            connection.transport.write(b"".join(frames[path]))


if __name__ == "__main__":
    asyncio.run(PacedExchange().run(int(sys.argv[1])))
