"""`python -m bench.rigs.paced_server PORT`: a loopback exchange that sends frames of both feeds at a steady rate.

A number on the control path sets the rate per second. Every 2 ms the frames that are due are sent. `IDLE_RATE` is just
enough to keep connections and books alive.
"""

import asyncio
import sys
import time
from collections import defaultdict
from typing import Any

from websockets.asyncio.server import ServerConnection

from bench.rigs.loopback_exchange import BINANCE, OKX, LoopbackExchange, on_the_wire
from bench.rigs.paced_frames import BinanceInstrument, Instrument, OkxInstrument

IDLE_RATE = 20  # frames per second
_SEND_INTERVAL = 0.002  # s
_ALL_MOVE_RATE = 500  # at this rate every BBO of a moving instrument moves; at higher rates the same number per second


class PacedExchange:
    """The exchange with its four instruments."""

    def __init__(self) -> None:
        self.rate = IDLE_RATE
        self._binance = {base: BinanceInstrument(base, base == "ETH") for base in ("BTC", "ETH")}
        self._okx = {base: OkxInstrument(base, base == "BTC") for base in ("BTC", "ETH")}
        self._exchange = LoopbackExchange(self._depth, self._on_control)
        self._seeded: set[ServerConnection] = set()

    async def run(self, port: int) -> None:
        """Serve and send until cancelled."""
        async with self._exchange.serve(port):
            print("serving", flush=True)
            while True:
                await self._send_at(self.rate)

    def _depth(self, symbol: str) -> dict[str, Any]:
        return self._binance[symbol.removesuffix("USDT")].snapshot()

    async def _on_control(self, control: ServerConnection, text: str) -> None:
        self.rate = int(text)

    async def _send_at(self, rate: int) -> None:
        """Send at this rate until it is changed."""
        begin, sent = time.monotonic(), 0
        instruments = [*self._binance.values(), *self._okx.values()]
        while self.rate == rate:
            due = int((time.monotonic() - begin) * rate)
            self._send([instruments[number % len(instruments)] for number in range(sent, due)], _ALL_MOVE_RATE / rate)
            sent = due
            await asyncio.sleep(_SEND_INTERVAL)

    def _send(self, instruments: list[Instrument], move_probability: float) -> None:
        frames: dict[str, list[bytes]] = defaultdict(list)
        for instrument in instruments:
            path = OKX if isinstance(instrument, OkxInstrument) else BINANCE
            frames[path].append(on_the_wire(instrument.frame(move_probability)))
        for connection in self._exchange.subscribed:
            path = connection.request.path if connection.request else ""
            if path == OKX and connection not in self._seeded:
                self._seeded.add(connection)
                frames[path][:0] = [on_the_wire(instrument.snapshot()) for instrument in self._okx.values()]
            connection.transport.write(b"".join(frames[path]))


if __name__ == "__main__":
    asyncio.run(PacedExchange().run(int(sys.argv[1])))
