"""Definitions of instruments, which come by way of a topic: an odd one is refused."""

import pytest
from pydantic import ValidationError

from schemas.instruments import Instrument, assumed_instrument

SPOT = assumed_instrument("binance-spot", "binance", "BTC-USDT").model_dump()


@pytest.mark.parametrize("size", ["1", "0.01", "100", "0.000000000000000001"])
def test_sizes(size: str) -> None:
    """A plain decimal above zero is one."""
    assert Instrument(**SPOT | {"contract_size": size}).contract_size == size


@pytest.mark.parametrize(
    "size", ["", "0", "0.0", "-1", "text", "1e400", "1e-5", "NaN", "1.2.3", "1 ", "9" * 21, None, 1]
)
def test_odd_sizes(size: object) -> None:
    """Nothing else is: amounts would follow from it."""
    with pytest.raises(ValidationError):
        Instrument(**SPOT | {"contract_size": size})


@pytest.mark.parametrize(
    "odd", [{"exchange_symbol": [{}]}, {"settle": 17}, {"kind": "?"}, {"inverse": "perhaps"}, {"status": None}]
)
def test_odd_definitions(odd: dict[str, object]) -> None:
    """Every field has its type."""
    with pytest.raises(ValidationError):
        Instrument(**SPOT | odd)
