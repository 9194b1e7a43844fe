"""Checkpointed state has a version, and each entry belongs to one partition."""

import orjson
import pytest

from schemas.errors import CheckpointError
from schemas.keys import input_partition_of
from schemas.settings import load_settings
from streams.arbitrage.join import JoinProcessor
from streams.packing import VERSION, pack, unpack
from streams.raw_processor import RawProcessor
from tests.frames import binance, line, tick

SETTINGS = load_settings()


def test_a_checkpoint_of_another_version_is_rejected() -> None:
    """The error says what to do, for an instrument's entry and for a partition's own."""
    partition = RawProcessor("binance", 0, SETTINGS)
    partition.process(0, line(binance.SPOT.key, binance.trade()) + tick("binance", 1000))
    for key in partition.take_changed():
        state = unpack(partition.dump(key)) | {"version": VERSION + 1}
        with pytest.raises(CheckpointError, match="discard the checkpoints with `marketprism topics"):
            RawProcessor("binance", 0, SETTINGS).load(key, orjson.dumps(state))
    with pytest.raises(CheckpointError, match=f"format 1, this one reads {VERSION}"):
        unpack(orjson.dumps({"covered": 7}))
    assert unpack(pack({"levels": "x" * 100_000})) == {"version": VERSION, "levels": "x" * 100_000}


def test_every_entry_has_one_owner() -> None:
    """Exactly one partition of all topics owns an instrument, a symbol, or a partition's own entry."""
    raw = [RawProcessor(exchange, number, SETTINGS) for exchange in ("binance", "okx") for number in range(4)]
    join = [JoinProcessor(number, SETTINGS) for number in range(4)]
    for key in ("binance:BTC-USDT", "okx:BTC-USDT", "binance:*:3", "okx:*:0"):
        assert sum(state.owns(key) for state in raw) == 1, key
    for key in ("BTC-USDT", "ETH-USDT", "*:2"):
        assert sum(state.owns(key) for state in join) == 1, key
    owner = next(state for state in raw if state.owns(binance.SPOT.key))
    assert (owner.exchange, owner.partition) == ("binance", input_partition_of(binance.SPOT.key, 4))
