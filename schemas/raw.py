r"""Raw records: small batches of exchange frames, exactly as they came, and the markers that go between them.

One record of `raw.<exchange>` is UTF-8-safe lines, in order of receipt:

    <local_timestamp ns>\t<exchange>:<symbol>\t<frame>\n

All lines of one instrument go to one partition (`partition_of`). Whatever shapes the output besides frames stands in
the same topic as a *marker*: a line whose frame begins with `{"marketprism":"<type>"`. Types:

| type | other fields | meaning |
|---|---|---|
| `instrument` | those of `Instrument` | the definition, before the instrument's first frame |
|              | and `seed_levels` | before a fetched snapshot: the levels a side at which it is cut off |
| `listed` | `reason` | a new instrument in the exchange's listing; follows its first `instrument` |
| `delisted` | `reason` | the instrument is closed or gone, and unsubscribed: nothing more comes of it |
| `connected` / `disconnected` | `channels`, `reason` | a connection that carries channels came or went |
| `renewing` / `renewed` | `channels`, `reason` | it is being, was changed for a new one without a break |
| `subscribed` | `channels` | the exchange acknowledged them |
| `refused` | `channels`, `reason` | the exchange refused them |
| `silent` / `resumed` | `channel`, `age` (µs), `step` | nothing comes on it, and what is done about it; it came again |
| `clock` | `offset`, `round_trip` (µs) | the exchange's clock minus ours, by REST |
| `rate_limited` | `status`, `seconds`, `where` | REST was refused and is left alone for so long |
| `notice` | `reason` | the exchange announces something |
| `lost` | `frames`, `reason` | frames were dropped before the broker took them: a gap |
| `tick` | `feeds` | each second, to every partition, key `<exchange>:*`: stream time, and whom its writer ingests |
| `frame` | `base64` | a frame that cannot stand in a line (newlines, our own prefix) |
| `oversized` | `bytes`, `sha256`, `base64` (first KiB) | a frame larger than a record may be |
"""

import base64
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson
from msgspec import Struct

from schemas.errors import RawRecordError
from schemas.limits import MAX_FRAME

MARKER = b'{"marketprism":"'
_LATEST = 1 << 63  # ns since the epoch: the year 2262


class RawLine(Struct, frozen=True, gc=False):
    """One line: receipt time (ns since the epoch), `exchange:symbol`, the frame's bytes."""

    local_timestamp: int
    key: str
    frame: bytes


def encode_line(local_timestamp: int, key: str, frame: bytes) -> bytes:
    """A frame as a line; one that cannot stand as it is becomes a `frame` or `oversized` marker."""
    if b"\n" in frame or frame.startswith(MARKER):
        frame = _wrap(frame)
    elif len(frame) > MAX_FRAME:
        frame = _cut(frame)
    return b"%d\t%s\t%s\n" % (local_timestamp, key.encode(), frame)


def encode_marker(local_timestamp: int, key: str, kind: str, /, **fields: Any) -> bytes:
    """A marker as a line; an instrument's own `kind` may be among the fields."""
    return b"%d\t%s\t%s\n" % (
        local_timestamp,
        key.encode(),
        orjson.dumps({"marketprism": kind, **fields}),
    )


def _wrap(frame: bytes) -> bytes:
    if len(frame) * 4 // 3 > MAX_FRAME:
        return _cut(frame)
    return orjson.dumps({"marketprism": "frame", "base64": base64.b64encode(frame).decode()})


def _cut(frame: bytes) -> bytes:
    return orjson.dumps(
        {
            "marketprism": "oversized",
            "bytes": len(frame),
            "sha256": hashlib.sha256(frame).hexdigest(),
            "base64": base64.b64encode(frame[:1024]).decode(),
        }
    )


def unwrap(marker: dict[str, Any]) -> bytes:
    """The bytes that a `frame` or `oversized` marker holds."""
    return base64.b64decode(marker["base64"])


def decode_record(value: bytes) -> Iterator[RawLine]:
    """The lines of one record, in order; `RawRecordError` names the first that is none."""
    lines = value.split(b"\n")
    lines.pop()  # what follows the last newline
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
