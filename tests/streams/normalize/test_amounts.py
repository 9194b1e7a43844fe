"""Contracts are converted to base units exactly."""

import pytest

from schemas.errors import FrameError
from streams.normalize import parse
from streams.normalize.amounts import base_levels
from tests.frames import okx

NOW = 1_790_000_000_000_001  # µs of receipt


def test_an_amount_is_never_rounded_to_zero() -> None:
    """An amount below the last decimal place of a column is published as that place: zero would delete the level."""
    assert base_levels(okx.INVERSE, [b'90000000000000000000","0.001']) == [
        b'90000000000000000000","0.000000000000000001'
    ]
    assert base_levels(okx.INVERSE, [b'90000","0']) == [b'90000","0']


@pytest.mark.parametrize("size", ["", "0", "-1", "NaN", "1e400", "many"])
def test_an_unknown_contract_size(size: str) -> None:
    """Nothing is computed with an invalid contract size."""
    instrument = okx.SWAP.model_copy(update={"contract_size": size})
    with pytest.raises(FrameError, match="contract size is unknown"):
        parse(okx.trade(instrument), instrument, NOW)
    with pytest.raises(FrameError, match="contract size is unknown"):
        parse(okx.book(1, 2, [["10", "1"]], [], instrument=instrument), instrument, NOW)
