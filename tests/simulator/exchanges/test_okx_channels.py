"""The simulated OKX serves every channel that is ingested, and every push is parsed."""

from itertools import count

import orjson
import pytest

from ingest.exchanges.base import Route
from ingest.exchanges.okx import Okx
from ingest.exchanges.okx.channels import BUSINESS, PUBLIC
from marketprism.simulator import Simulators
from schemas.events import KINDS
from schemas.instruments import Instrument, defined_instrument
from schemas.symbols import Kind
from streams.normalize import parse
from streams.normalize.messages import Ignored, Rejected
from tests.simulator.clients import opened, receive

SYMBOLS: dict[Kind, str] = {"spot": "BTC-USDT", "perp": "BTC-USD-PERP", "option": "BTC-USD-270625-80000-P"}
RARE = frozenset({"liquidations", "settlement_prices"})  # channels on which nothing may be sent for long


def definition(sims: Simulators, symbol: str) -> Instrument:
    listing = sims.instrument("okx", symbol).listing
    size = str(listing.contract)
    return defined_instrument("okx", "okx", symbol, contract_size=size, inverse=listing.inverse)


async def check(sims: Simulators, connector: Okx, symbol: str, path: str) -> None:
    """Subscribe to all channels of an instrument on a path, and parse what comes until each has sent something."""
    instrument = definition(sims, symbol)
    name, channels = instrument.exchange_symbol, connector.channels_of(instrument.kind, path)
    routes = [connector.route_of(name, channel) for channel in channels]
    acknowledged, seen = set[Route](), set[Route]()
    async with opened(sims, "okx", path) as socket:
        for request in connector.subscribe(routes, count(1)):
            await socket.send(request.text)
        while acknowledged != set(routes) or seen < {route for route in routes if route.channel not in RARE}:
            frame = orjson.dumps(await receive(socket))
            route = connector.route(frame)
            if route.kind == "control":
                control = connector.parse_control(frame)
                assert control.kind == "acknowledged", control
                acknowledged.update(control.routes)
                continue
            assert route in routes
            seen.add(route)
            messages = parse(frame, instrument, 1)
            assert not any(isinstance(message, Rejected) for message in messages)
            if not connector.channels[route.channel].in_rows:
                assert not any(isinstance(message, Ignored) for message in messages)


@pytest.mark.parametrize("path", [PUBLIC, BUSINESS])
@pytest.mark.parametrize("kind", SYMBOLS)
async def test_every_channel(kind: Kind, path: str) -> None:
    """All are acknowledged, and what they push is parsed."""
    async with Simulators(["okx"], rate=10) as sims:
        await check(sims, Okx(KINDS), SYMBOLS[kind], path)


async def test_variants() -> None:
    """So are the variants of trades and books."""
    connector = Okx(["trades", "books"], variants={"trades": "trades-all", "books": "books5"})
    async with Simulators(["okx"], rate=10) as sims:
        for path in (PUBLIC, BUSINESS):
            await check(sims, connector, "BTC-USDT", path)
