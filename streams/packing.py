"""Encode checkpoint entries: JSON with a version, compressed where it is large."""

from typing import Any

import orjson
import zstandard

from schemas.errors import CheckpointError

VERSION = 4
"""Version of what entries hold. Raise it with every change that an older or newer worker could not read."""

_PLAIN = 32_768  # bytes up to which an entry is not compressed
_OPEN = b"{"
_LEVEL = 1


def pack(state: dict[str, Any]) -> bytes:
    """Encode a state. The levels of a book shrink to a third or less."""
    json = orjson.dumps({"version": VERSION} | state)
    return json if len(json) <= _PLAIN else zstandard.ZstdCompressor(level=_LEVEL).compress(json)


def unpack(entry: bytes) -> dict[str, Any]:
    """Decode a state. Raises `CheckpointError` if another version wrote it."""
    json = entry if entry.startswith(_OPEN) else zstandard.ZstdDecompressor().decompress(entry)
    state: dict[str, Any] = orjson.loads(json)
    version = state.get("version", 1)
    if version != VERSION:
        raise CheckpointError(
            f"another version of the worker wrote the checkpoints (format {version}, this one reads {VERSION})."
            " Run that version again, or stop all workers, discard the checkpoints with `marketprism topics"
            " --discard-checkpoints`, and restart workers and ingest: books wait for new snapshots then"
        )
    return state
