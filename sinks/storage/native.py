"""Encode blocks in ClickHouse's Native format, with the column writers of clickhouse-driver."""

from types import SimpleNamespace
from typing import Any

from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.streams.native import BlockOutputStream

_BUFFER = 1 << 20
# Revision 0 is the format used in files: no block info, no custom serialization.
_CONTEXT = SimpleNamespace(
    server_info=SimpleNamespace(used_revision=0),
    client_settings={"strings_as_bytes": True, "strings_encoding": "utf-8", "use_numpy": False},
)


class _Collector:
    """Stand-in for the socket that the driver writes to."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def sendall(self, chunk: bytes) -> None:
        self.chunks.append(bytes(chunk))  # copied, as the writer reuses its buffer


def encode_block(columns_with_types: list[tuple[str, str]], columns: list[Any]) -> bytes:
    """Encode columns as input for `INSERT … FORMAT Native`. String columns hold bytes."""
    collector = _Collector()
    stream = BlockOutputStream(BufferedSocketWriter(collector, _BUFFER), _CONTEXT)
    stream.write(ColumnOrientedBlock(columns_with_types, columns, types_check=False))
    return b"".join(collector.chunks)
