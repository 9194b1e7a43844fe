"""Definitions of instruments in `market.instruments`."""

from schemas.instruments import Instrument
from schemas.markers import Definition, Delisted
from schemas.raw import encode_marker
from tests.frames import T0
from tests.frames.binance import USDM
from tests.streams.helpers import bodies, run


def definition(instrument: Instrument, number: int = 0) -> bytes:
    return encode_marker(T0 + number, instrument.key, Definition(instrument))


def test_definitions_are_published() -> None:
    """The first one is `listed`; one that is repeated says nothing; each changed field is an event of its own."""
    changed = USDM.model_copy(update={"tick_size": "0.01", "status": "halted"})
    gone = encode_marker(T0 + 9, USDM.key, Delisted(reason="gone"))
    found = bodies(
        run("binance", definition(USDM), definition(USDM, 1), definition(changed, 2), gone), "market.instruments"
    )
    assert [(each["type"], each["field"], each["old"], each["new"]) for each in found] == [
        ("listed", "", "", ""),
        ("changed", "tick_size", USDM.tick_size, "0.01"),
        ("changed", "status", "trading", "halted"),
        ("delisted", "", "", ""),
    ]
    assert found[-1]["tick_size"] == "0.01"
    assert found[0]["exchange_symbol"] == USDM.exchange_symbol


def test_unknown_sizes_are_null() -> None:
    """An exchange may not state a tick or a lot size."""
    [event] = bodies(run("binance", definition(USDM.model_copy(update={"lot_size": ""}))), "market.instruments")
    assert event["lot_size"] is None
