"""Every kind that a feed carries arrives through ingest and workers, live or polled."""

from ingest.exchanges import CONNECTORS
from marketprism.simulator import Simulators
from schemas.events import EVENTS, KINDS, TABLES
from schemas.feeds import feed_of
from schemas.settings import Settings, load_settings
from schemas.symbols import is_currency
from tests.e2e.everything import EVERYTHING
from tests.e2e.in_process import InProcessPipeline

CARRIED = {(feed, kind) for feed, connector in CONNECTORS.items() for kind in KINDS if kind not in connector.without}


async def test_every_kind_arrives(settings: Settings) -> None:
    """Each feed has events of each kind that the registries promise, all valid, and nothing is a dead letter."""
    async with Simulators() as simulators:
        changes = EVERYTHING | {"endpoints": simulators.endpoints}
        async with InProcessPipeline(load_settings(**settings.model_dump() | changes), simulators) as pipeline:
            read, found = 0, set[tuple[str, str]]()

            def all_arrived() -> bool:
                nonlocal read
                for topic, event in pipeline.events[read:]:
                    EVENTS[topic].model_validate(event)
                    assert topic != "dead_letters", event
                    if TABLES[topic] in KINDS and not is_currency(event["symbol"]):
                        found.add((feed_of(event["exchange"], event["symbol"]).name, TABLES[topic]))
                read = len(pipeline.events)
                return found >= CARRIED

            try:
                await pipeline.until(all_arrived, "all kinds", within=60)
            except AssertionError as error:
                error.add_note(f"missing: {sorted(CARRIED - found)}")
                raise
            assert found == CARRIED
