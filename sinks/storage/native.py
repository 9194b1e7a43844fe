"""ClickHouse's Native format, by clickhouse-driver's own column writers."""

from types import SimpleNamespace
from typing import Any

from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.streams.native import BlockOutputStream

_BUFFER = 1 << 20
# Revision 0 is the format as it stands in files: no block info, no custom serialization.
_CONTEXT = SimpleNamespace(
    server_info=SimpleNamespace(used_revision=0),
    client_settings={"strings_as_bytes": True, "strings_encoding": "utf-8", "use_numpy": False},
)


class _Collector:
    """Stands where the driver writes to a socket."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def sendall(self, chunk: bytes) -> None:
        self.chunks.append(bytes(chunk))  # the writer uses its buffer again


def encode_block(columns_with_types: list[tuple[str, str]], columns: list[Any]) -> bytes:
    """Columns as the bytes that `INSERT … FORMAT Native` takes; String columns hold bytes."""
    collector = _Collector()
    stream = BlockOutputStream(BufferedSocketWriter(collector, _BUFFER), _CONTEXT)
    stream.write(ColumnOrientedBlock(columns_with_types, columns, types_check=False))
    return b"".join(collector.chunks)
