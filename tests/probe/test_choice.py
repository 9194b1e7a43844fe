"""Choice of the instruments that are probed."""

import pytest

from marketprism.probe.choice import choose, to_be_listed
from schemas.instruments import Instrument, assumed_instrument
from schemas.symbols import Selection


def listed(*symbols: str, **changes: str) -> list[Instrument]:
    return [assumed_instrument("okx", "okx", symbol).model_copy(update=changes) for symbol in symbols]


def chosen(instruments: list[Instrument], *selection: str) -> list[str]:
    return [instrument.symbol for instrument in choose(instruments, Selection(selection))]


def test_one_of_each_kind() -> None:
    """The settings' first of each kind, linear and inverse, in the order of the settings."""
    found = listed("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USDT-261225", "BTC-USD-261225")
    assert chosen(found, "ETH-USDT", "BTC-USDT", "BTC-USD-PERP") == [
        "BTC-USDT-261225", "BTC-USD-261225", "BTC-USDT-PERP", "BTC-USD-PERP", "ETH-USDT",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("symbols", "symbol"),
    [
        (("BTC-USDT-261127", "BTC-USDT-261225", "BTC-USDT-270326"), "BTC-USDT-261225"),
        (("BTC-USDT-261225",), "BTC-USDT-261225"),
        (("BTC-USD-261225-9000-C", "BTC-USD-261225-80000-C", "BTC-USD-261225-120000-C"), "BTC-USD-261225-80000-C"),
    ],
)
def test_dated_instruments(symbols: tuple[str, ...], symbol: str) -> None:
    """The second expiry, as the first may be over today; of options, the middle strike."""
    assert chosen(listed(*symbols)) == [symbol]


def test_patterns_and_halts() -> None:
    """A pattern of the settings selects too. What is not traded is not chosen."""
    assert chosen(listed("BTC-USDT", "SOL-USDT"), "SOL-*") == ["SOL-USDT"]
    assert chosen(listed("BTC-USDT", status="halted") + listed("ETH-USDT"), "BTC-USDT") == ["ETH-USDT"]


def test_what_is_listed() -> None:
    """The listing is read for the settings' symbols, and for what stands in for the kinds that they lack."""
    selection = to_be_listed(Selection(["SOL-USDT", "*-USDC"]))
    wanted = ("SOL-USDT", "ETH-USDC", "BTC-USDT-PERP", "BTC-USD-261225", "BTC-USD-261225-80000-C")
    assert all(symbol in selection for symbol in wanted)
    assert "ETH-USDT" not in selection
