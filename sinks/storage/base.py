"""Interface between the sink and ClickHouse, embedded or over TCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from schemas.errors import StorageError

ENTRY_COLUMNS = [("value", "String"), ("_partition", "UInt16"), ("_offset", "UInt64")]

# Errors caused by the rows themselves.
_ROW_ERRORS = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        395,  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
        407,  # DECIMAL_OVERFLOW
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
    }
)
# The block spans several days (`max_partitions_per_insert_block` is 1), and halving it helps; or merges are too slow.
_TOO_MANY_PARTS = 252
_SERVER_IS_SLOW = "Merges are processing significantly slower"
# Errors that affect every row alike and pass by themselves or need an operator. The cause of all others is unclear.
_SERVER_ERRORS = frozenset(
    {
        0,  # not an error of ClickHouse
        3, 60, 81, 16, 47, 51,  # UNEXPECTED_END_OF_FILE; table, database or column missing
        74, 75, 76, 87, 236, 243,  # files cannot be read, written, opened; ABORTED, NOT_ENOUGH_SPACE
        159, 160, 202, 203, 209, 210, 225, 319, 394, 439, 999,  # slow, overloaded, unavailable, cancelled, no threads
        164, 242, 291, 497, 516,  # read-only, no access
        173, 241,  # CANNOT_ALLOCATE_MEMORY, MEMORY_LIMIT_EXCEEDED
        _TOO_MANY_PARTS,
        1000, 1001, 1002,  # POCO_EXCEPTION, STD_EXCEPTION, UNKNOWN_EXCEPTION: disk and network, mostly
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """Records of one topic partition, in order: unmodified values and their offsets."""

    partition: int
    values: list[bytes]
    offsets: list[int]

    def halves(self) -> tuple["Block", "Block"]:
        middle = len(self.values) // 2
        return self.part(0, middle), self.part(middle, len(self.values))

    def part(self, start: int, end: int) -> "Block":
        return Block(self.partition, self.values[start:end], self.offsets[start:end])

    def after(self, offset: int) -> "Block":
        """Return the records above an offset."""
        kept = sum(1 for each in self.offsets if each > offset)
        return self.part(len(self.offsets) - kept, len(self.offsets))

    def columns(self) -> list[Any]:
        """Return the columns in the order of `ENTRY_COLUMNS`."""
        return [self.values, [self.partition] * len(self.values), self.offsets]

    def token(self, topic: str) -> str:
        """Return the `insert_deduplication_token`, by which ClickHouse ignores a second insert of the block."""
        return f"{topic}:{self.partition}:{self.offsets[0]}-{self.offsets[-1]}"


class Rejection(NamedTuple):
    """Error for rows that ClickHouse cannot store. Unless `certain`, the fault may be ClickHouse's own."""

    code: int
    reason: str
    certain: bool = True


class UnexplainedError(StorageError):
    """Insert error that does not show whether the rows or ClickHouse are at fault."""


class Storage(Protocol):
    """Access to one ClickHouse. Every method may be called from any thread and blocks it.

    `StorageError` means that ClickHouse is unavailable or failing: the same call may succeed later.
    """

    def insert(self, table: str, block: Block, token: str) -> Rejection | None:
        """Store a block through the entry table of `database.table`, completely or not at all."""

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Return the rows of a SELECT."""

    def execute(self, sql: str) -> None:
        """Run a statement that returns no rows."""

    def close(self) -> None:
        """Close all connections."""


def insert_settings(token: str) -> dict[str, Any]:
    """Return settings that store each block once and as one part, so that a crash leaves all of it or nothing."""
    return {
        "insert_deduplicate": 1,
        "insert_deduplication_token": token,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "max_partitions_per_insert_block": 1,
        "async_insert": 0,
    }


def rejection_or_raise(code: int, text: str) -> Rejection:
    """Return a `Rejection` if the rows are at fault.

    Raise `StorageError` if ClickHouse is at fault, and `UnexplainedError` if that is unclear.
    """
    if code in _ROW_ERRORS or (code == _TOO_MANY_PARTS and _SERVER_IS_SLOW not in text):
        return Rejection(code, text)
    raise StorageError(text) if code in _SERVER_ERRORS else UnexplainedError(text)
