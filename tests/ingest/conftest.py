"""Shared fixtures: two simulated exchanges, and settings that use them."""

from collections.abc import AsyncIterator

import pytest

from marketprism.simulator import Simulators
from schemas.settings import Settings, load_settings


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    async with Simulators(["binance-spot", "okx"]) as running:
        yield running


@pytest.fixture
def here(settings: Settings, simulators: Simulators) -> Settings:
    """Return the test's settings with the simulated exchanges as endpoints, and two symbols."""
    return load_settings(
        **settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": ["BTC-USDT", "ETH-USDT"]}
    )
