"""Raw records preserve every byte."""

import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RawRecordError
from schemas.limits import MAX_FRAME
from schemas.markers import MARKER, Notice, Oversized, Wrapped, decode_text
from schemas.raw import decode_record, encode_line, encode_marker, unwrap


@given(st.lists(st.tuples(st.integers(0, 2**62), st.binary(max_size=80)), max_size=8))
def test_round_trip(frames: list[tuple[int, bytes]]) -> None:
    """Frames of any bytes, including newlines and tabs, are decoded as they were, in order."""
    record = b"".join(encode_line(stamp, "okx:BTC-USDT", frame) for stamp, frame in frames)
    found = []
    for line in decode_record(record):
        assert line.key == "okx:BTC-USDT"
        marker = decode_text(line.frame) if line.frame.startswith(MARKER) else None
        found.append((line.local_timestamp, unwrap(marker) if isinstance(marker, Wrapped) else line.frame))
    assert found == frames


def test_a_frame_cannot_pose_as_a_marker() -> None:
    """A frame that begins like a marker is wrapped."""
    [line] = decode_record(encode_line(1, "okx:?", b'{"marketprism":"disconnected"}'))
    assert orjson.loads(line.frame)["marketprism"] == "frame"


@pytest.mark.parametrize("filler", [b"x", b"\n"])
def test_an_oversized_frame_is_described(filler: bytes) -> None:
    """A frame too large for a Kafka record is replaced by its size, hash and beginning."""
    frame = filler * 10_000_000
    [line] = decode_record(encode_line(1, "okx:?", frame))
    marker = decode_text(line.frame)
    assert isinstance(marker, Oversized)
    assert marker.bytes == 10_000_000
    assert marker.sha256 == hashlib.sha256(frame).hexdigest()
    assert unwrap(marker) == frame[:1024]
    assert len(line.frame) < MAX_FRAME


def test_markers() -> None:
    """A marker omits the fields that have their default, and is decoded as it was."""
    [line] = decode_record(encode_marker(5, "okx:*", Notice(reason="maintenance")))
    assert orjson.loads(line.frame) == {"marketprism": "notice", "reason": "maintenance"}
    assert decode_text(line.frame) == Notice(reason="maintenance")


@pytest.mark.parametrize("record", [b"x\n", b"1\tkey\n", b"one\tkey\tframe\n"])
def test_malformed_records(record: bytes) -> None:
    """The error names the malformed line."""
    with pytest.raises(RawRecordError, match="line 0"):
        list(decode_record(record))
