r"""Encode and decode raw records: small batches of exchange frames, exactly as received, with markers between them.

One record of `raw.<exchange>` consists of UTF-8-safe lines, in order of receipt:

    <local_timestamp ns>\t<exchange>:<symbol>\t<frame>\n

All lines of one instrument go to one partition (`schemas.keys.partition_of`). Everything else that determines the
output is in the same topic, as a marker (`schemas/markers.py`).
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from schemas.errors import FrameError, RawRecordError
from schemas.limits import MAX_FRAME
from schemas.markers import MARKER, Markers, Oversized, Wrapped, encode_text

_LATEST = 1 << 63  # ns since the epoch: the year 2262


class RawLine(Struct, frozen=True, gc=False):
    """One line: receipt time (ns since the epoch), `exchange:symbol`, the frame's bytes."""

    local_timestamp: int
    key: str
    frame: bytes


def encode_line(local_timestamp: int, key: str, frame: bytes) -> bytes:
    """Encode a frame as a line. A frame that does not fit a line becomes a `frame` or `oversized` marker."""
    if b"\n" in frame or frame.startswith(MARKER):
        frame = _wrap(frame)
    elif len(frame) > MAX_FRAME:
        frame = _cut(frame)
    return b"%d\t%s\t%s\n" % (local_timestamp, key.encode(), frame)


def encode_marker(local_timestamp: int, key: str, marker: Markers) -> bytes:
    """Encode a marker as a line."""
    return b"%d\t%s\t%s\n" % (local_timestamp, key.encode(), encode_text(marker))


def _wrap(frame: bytes) -> bytes:
    if len(frame) * 4 // 3 > MAX_FRAME:
        return _cut(frame)
    return encode_text(Wrapped(base64=base64.b64encode(frame).decode()))


def _cut(frame: bytes) -> bytes:
    head = base64.b64encode(frame[:1024]).decode()
    return encode_text(Oversized(bytes=len(frame), sha256=hashlib.sha256(frame).hexdigest(), base64=head))


def unwrap(marker: Wrapped | Oversized) -> bytes:
    """Return the bytes that a `frame` or `oversized` marker holds. Raises `FrameError` if they are not base64."""
    try:
        return base64.b64decode(marker.base64)
    except binascii.Error as error:
        raise FrameError(f"malformed marker: {error}") from None


def decode_record(value: bytes) -> Iterator[RawLine]:
    """Return the lines of one record in order. Raises `RawRecordError`, which names the first malformed line."""
    lines = value.split(b"\n")
    lines.pop()  # nothing follows the last newline
    for number, line in enumerate(lines):
        try:
            stamp, key, frame = line.split(b"\t", 2)
            received = int(stamp)
            if not 0 <= received < _LATEST:
                raise ValueError(f"not a receipt time: {received}")
            yield RawLine(received, _text(key), frame)
        except ValueError as error:
            raise RawRecordError(f"line {number} is not <ns>\\t<exchange>:<symbol>\\t<frame>: {error}") from None


@lru_cache(maxsize=65536)
def _text(key: bytes) -> str:
    return key.decode()
