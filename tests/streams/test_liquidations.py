"""Liquidations: each is published once."""

from schemas.settings import load_settings
from streams.instrument_processor import InstrumentProcessor
from streams.normalize.messages import Liquidation
from streams.output import Output
from tests.frames.okx import SWAP

ORDER = Liquidation("liquidations", 5_000_000, "sell", "50000", None, "0.5", sampled=True)
OTHER = Liquidation("liquidations", 5_000_000, "sell", "50000", None, "0.25", sampled=True)


def publish(processor: InstrumentProcessor, *orders: Liquidation) -> int:
    out = Output(1)
    out.begin("okx:0:1", 0, 6_000_000)
    for order in orders:
        processor.liquidations.on_liquidation(out, order)
    return len(out.records)


def test_a_repetition_is_dropped() -> None:
    """Both sockets of a handover deliver it, also around a restart of the worker."""
    processor = InstrumentProcessor(SWAP, load_settings())
    assert publish(processor, ORDER, ORDER, OTHER) == 2
    restored = InstrumentProcessor.load(processor.dump(), load_settings())
    assert publish(restored, ORDER, OTHER) == 0
    assert restored.status.health_of("liquidations").repeated == 3
