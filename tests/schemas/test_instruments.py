"""Malformed definitions of instruments, which arrive in raw topics, are rejected."""

import pytest
from pydantic import ValidationError

from schemas.instruments import Instrument, assumed_instrument

SPOT = assumed_instrument("binance-spot", "binance", "BTC-USDT").model_dump()


@pytest.mark.parametrize("size", ["1", "0.01", "100", "0.000000000000000001"])
def test_sizes(size: str) -> None:
    """A contract size is a plain decimal above zero."""
    assert Instrument(**SPOT | {"contract_size": size}).contract_size == size


@pytest.mark.parametrize(
    "size", ["", "0", "0.0", "-1", "text", "1e400", "1e-5", "NaN", "1.2.3", "1 ", "9" * 21, None, 1]
)
def test_malformed_sizes(size: object) -> None:
    """Any other size is rejected, as amounts depend on it."""
    with pytest.raises(ValidationError):
        Instrument(**SPOT | {"contract_size": size})


@pytest.mark.parametrize(
    "changes", [{"exchange_symbol": [{}]}, {"settle": 17}, {"kind": "?"}, {"inverse": "perhaps"}, {"status": None}]
)
def test_malformed_definitions(changes: dict[str, object]) -> None:
    """A field of the wrong type is rejected."""
    with pytest.raises(ValidationError):
        Instrument(**SPOT | changes)
