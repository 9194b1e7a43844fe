"""Frames of every channel, as the simulated exchanges send them."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable

from websockets.asyncio.client import connect

from bench.rigs.frames import Frame
from ingest.exchanges import CONNECTORS
from ingest.exchanges.base import Connector, Route
from ingest.sockets import MAX_SIZE
from marketprism.simulator import Simulators
from marketprism.simulator.market.listings import listings_of
from schemas.events import KINDS
from schemas.keys import key_of
from schemas.symbols import parse_symbol

Channel = tuple[str, str]  # feed and our name


def collect(seconds: float) -> dict[Channel, list[Frame]]:
    """Return the frames of one instrument of each kind by channel; of the candles, those of a minute."""
    return asyncio.run(_collect(seconds))


async def _collect(seconds: float) -> dict[Channel, list[Frame]]:
    frames: dict[Channel, list[Frame]] = defaultdict(list)
    async with Simulators(rate=4.0) as simulators, asyncio.TaskGroup() as tasks:
        until = asyncio.get_running_loop().time() + seconds
        for feed, connector_of in CONNECTORS.items():
            connector = connector_of([kind for kind in KINDS if kind != "candles"], channels=("candles_1m",))
            for path in connector.paths:
                address = simulators.endpoints[feed]["ws"] + path
                tasks.create_task(_listen(connector, address, path, until, frames))
    return frames


async def _listen(
    connector: Connector, address: str, path: str, until: float, frames: dict[Channel, list[Frame]]
) -> None:
    """Subscribe to a path's channels, and add what arrives until the given loop time."""
    keys = dict(_routes(connector, path))
    async with connect(address, max_size=MAX_SIZE, compression=connector.compression) as socket:
        for request in connector.subscribe(keys, itertools.count(1)):
            await socket.send(request.text)
        try:
            async with asyncio.timeout_at(until):
                while True:
                    frame = connector.decode(await socket.recv(decode=False))
                    route = connector.route(frame)
                    if route in keys:
                        frames[connector.name, route.channel].append((time.time_ns(), keys[route], frame))
                    elif reply := connector.parse_control(frame).reply:
                        await socket.send(reply)
        except TimeoutError:
            return


def _routes(connector: Connector, path: str) -> Iterable[tuple[Route, str]]:
    """Yield the routes of the first instrument of each kind, with its key."""
    firsts = {parse_symbol(listing.symbol).kind: listing for listing in reversed(listings_of(connector.name))}
    for kind, listing in firsts.items():
        for channel in connector.channels_of(kind, path):
            key = key_of(connector.feed.exchange, listing.symbol)
            yield connector.route_of(listing.exchange_symbol, channel), key
