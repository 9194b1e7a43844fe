"""Subscriptions of one connection."""

import asyncio

from marketprism.simulator import Simulators
from schemas.settings import Settings, load_settings
from tests.ingest.reading import ingesting, kinds, read_lines, until

SPOT = "binance:BTC-USDT"


async def test_books_without_updates(settings: Settings) -> None:
    """A book without any update gets its snapshot two seconds after the acknowledgement."""
    async with Simulators(["binance-spot"], rate=0) as quiet:
        here = load_settings(**settings.model_dump() | {"endpoints": quiet.endpoints, "symbols": ["BTC-USDT"]})
        async with ingesting(here, "binance-spot"):
            lines = await until(here, "binance", SPOT, lambda found: "snapshot" in found)
            await asyncio.sleep(3)
            found = kinds((await read_lines(here, "binance"))[SPOT])
    subscribed_at = lines[kinds(lines).index("subscribed")].local_timestamp
    assert 1.9e9 < lines[kinds(lines).index("snapshot")].local_timestamp - subscribed_at < 4e9
    assert "frame" not in found
    assert found.count("snapshot") == 1
