"""Checkpoint entries as bytes: JSON, compressed where it is large."""

from typing import Any

import orjson
import zstandard

_PLAIN = 32_768  # bytes up to which an entry stays as it is
_OPEN = b"{"
_LEVEL = 1


def pack(state: dict[str, Any]) -> bytes:
    """A checkpoint entry of this state. Levels of a book shrink to a third or less."""
    json = orjson.dumps(state)
    return json if len(json) <= _PLAIN else zstandard.ZstdCompressor(level=_LEVEL).compress(json)


def unpack(entry: bytes) -> dict[str, Any]:
    """The state in a checkpoint entry."""
    json = entry if entry.startswith(_OPEN) else zstandard.ZstdDecompressor().decompress(entry)
    state: dict[str, Any] = orjson.loads(json)
    return state
