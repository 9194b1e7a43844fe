"""Read-only connections to the embedded ClickHouse.

`SET readonly = 1` cannot be undone on a connection and rejects writes, changes of settings, and most table functions.
The engine still accepts some statements that do more than read: the function `file()`, `INTO OUTFILE`, `KILL QUERY`,
`BACKUP`, `s3()` and similar functions, `USE`, several statements at once. So each query is first normalized by
ClickHouse's own parser (without comments, with literals and names in one spelling), and runs only if it is certain
that it just reads tables.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from schemas.errors import StorageError
from sinks.storage.embedded import connect

log = structlog.get_logger(__name__)

MARK = "marketprism-reader-"  # prefix of the `log_comment` of all read-only queries
# Limits of one query. Grouping and sorting spill to disk before they reach the memory limit.
_LIMITS = {
    "max_execution_time": 60,  # s
    "max_memory_usage": 400_000_000,
    "max_bytes_before_external_group_by": 150_000_000,
    "max_bytes_before_external_sort": 150_000_000,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 100_000_000,
    "result_overflow_mode": "'throw'",
}
_ECHO = 200  # characters of a long query that its error message may repeat
_HEAD = re.compile(r"(?:Code: \d+\. DB::Exception: )*")
_NAME = re.compile(r"\([A-Z_]+\)")
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"})
_STATEMENTS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS")
_FORBIDDEN = re.compile(r"\bINTO\s+OUTFILE\b|\bPARALLEL\s+WITH\b", re.IGNORECASE)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_QUOTED = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
# Table functions that only use the engine's tables and memory. All others access files, networks or processes.
_HARMLESS = frozenset(
    {"format", "generate_series", "generaterandom", "generateseries", "merge", "mergetreeindex", "null", "numbers",
     "numbers_mt", "primes", "values", "view", "zeros", "zeros_mt", "sqlstandardvalues", "dictionary"}
)  # fmt: skip


class ReadOnlyConnection:
    """One read-only connection, used by one thread at a time. `mark` is the `log_comment` of its queries."""

    def __init__(self, directory: Path, database: str, mark: str = MARK) -> None:
        self.mark = mark
        self._directory = directory
        self._database = database
        self._connection = connect(directory)
        self._external_functions = self._find_external_functions()
        self._prepare()

    def run(self, query: str, output_format: str, parameters: Mapping[str, str] | None = None) -> bytes:
        """Run a query and return the result in a ClickHouse format; the query's own FORMAT takes precedence.

        Raise `StorageError` with `Code: N.` if it fails.
        """
        parameters = dict(parameters or {})
        if self._connection is None:
            self._connection = connect(self._directory)
            self._prepare()
        try:
            self._check(query)
            return bytes(self._connection.query(query, output_format, params=parameters).bytes())
        except RuntimeError as error:
            # The engine prepends the partial output of a failed query (out of memory) to the next result.
            self.close()
            length = max(map(len, (query, output_format, *parameters, *parameters.values())))
            raise StorageError(_without_echo(str(error)) if length > _ECHO else str(error)) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _prepare(self) -> None:
        """Set the limits and make the connection read-only."""
        try:
            self._connection.query(f"USE {self._database}")
        except RuntimeError:  # not migrated yet; queries may still name another database
            log.info("database does not exist yet", database=self._database)
        limits = _LIMITS | {"log_comment": f"'{self.mark}'"}
        self._connection.query("SET " + ", ".join(f"{name} = {value}" for name, value in limits.items()))
        self._connection.query("SET readonly = 1")

    def _check(self, query: str) -> None:
        if "\0" in query:
            raise _rejected("the query contains a NUL byte")
        # ClickHouse unescapes parameters like TabSeparated values. Without escaping, the text that is checked would
        # differ from the text that runs.
        escaped = query.translate(_ESCAPES)
        sql = self._value("SELECT formatQuerySingleLine({query:String})", query=escaped).strip()
        if not sql:  # a query that is killed before it starts returns nothing
            raise StorageError(
                "Code: 394. DB::Exception: the query was cancelled before its start. (QUERY_WAS_CANCELLED)"
            )
        bare = _QUOTED.sub(_plain_name, _LITERAL.sub("''", sql))
        if not bare.startswith(_STATEMENTS):
            raise _rejected(f"only {', '.join(_STATEMENTS)} statements are allowed")
        forbidden = _FORBIDDEN.search(bare)
        if forbidden:
            raise _rejected(f"{forbidden[0]} is not allowed")
        for call in _CALL.finditer(bare):
            if call[1].lower() in self._external_functions:
                raise _rejected(f"the function {call[1]} accesses data outside the database")

    def _find_external_functions(self) -> frozenset[str]:
        names = self._value(
            "SELECT arrayStringConcat(groupArray(lower(name)), ' ') FROM (SELECT name FROM system.table_functions "
            "UNION ALL SELECT name FROM system.functions WHERE categories LIKE '%AI%')"
        )
        return frozenset(names.split()) - _HARMLESS

    def _value(self, sql: str, **parameters: Any) -> str:
        return str(self._connection.query(sql, "TSVRaw", params=parameters).bytes().decode())


def _plain_name(quoted: re.Match[str]) -> str:
    """Remove the quotes of a name. A name that needs quotes cannot be a function's and becomes `quoted`."""
    return quoted[1] if quoted[1].isidentifier() else "quoted"


def _rejected(reason: str) -> StorageError:
    return StorageError(f"Code: 164. DB::Exception: {reason}: this connection is read-only. (READONLY)")


def _without_echo(text: str) -> str:
    """Shorten an error to its code, the beginning of its message (which may repeat a long query), and its name."""
    head = _HEAD.match(text)
    end = (head.end() if head else 0) + _ECHO
    names = _NAME.findall(text[-_ECHO:])
    return text if len(text) <= end else f"{text[:end]}… {' '.join(names[-1:])}".rstrip()
