"""Funding of every perpetual, through ingest and workers, equals what the simulated exchanges sent."""

from decimal import Decimal
from typing import Any

from marketprism.simulator import Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from schemas.symbols import parse_symbol
from tests.e2e.in_process import InProcessPipeline

PERPETUALS = [(each.feed, each.symbol) for each in LISTINGS if parse_symbol(each.symbol).kind == "perp"]
WITHOUT_PRICES = {"htx"}  # its channel of funding rates has no prices


async def test_funding_is_the_true_one(settings: Settings) -> None:
    """The last event of each perpetual has the true rate, and the true prices where the exchange sends them."""
    async with Simulators() as simulators:
        changes = {"endpoints": simulators.endpoints, "symbols": sorted({symbol for _, symbol in PERPETUALS})}
        here = load_settings(**settings.model_dump() | changes)
        async with InProcessPipeline(here, simulators) as pipeline:
            keys = [f"{FEEDS[feed].exchange}:{symbol}" for feed, symbol in PERPETUALS]
            await pipeline.until(lambda: all(pipeline.events_of("market.funding", key) for key in keys), "first rates")
            simulators.pause()
            for feed, symbol in PERPETUALS:
                true, exchange = simulators.true_funding(feed, symbol), FEEDS[feed].exchange
                wanted = [true.rate, "", ""] if exchange in WITHOUT_PRICES else [true.rate, true.mark, true.index]

                def is_true(key: str = f"{exchange}:{symbol}", wanted: list[str] = wanted) -> bool:
                    return _values(pipeline.events_of("market.funding", key)[-1]) == _decimals(wanted)

                await pipeline.until(is_true, f"true funding of {feed} {symbol}: {true}")
            assert not [event for topic, event in pipeline.events if topic == "dead_letters"]


def _values(event: dict[str, Any]) -> list[Decimal | None]:
    return _decimals([event["rate"], event["mark_price"] or "", event["index_price"] or ""])


def _decimals(texts: list[str]) -> list[Decimal | None]:
    return [Decimal(text) if text else None for text in texts]
