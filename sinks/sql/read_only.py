"""Reading the embedded ClickHouse: connections that cannot write, and the queries that are let through to them.

`SET readonly = 1` cannot be undone on a connection and refuses writes, changes of settings, and most table functions.
The engine still lets some things through: the function `file()`, `INTO OUTFILE`, `KILL QUERY`, `BACKUP`, `s3()` and
others of its kind, `USE`, several statements at once. So a query is first read back from ClickHouse's own parser
(comments gone, literals and names in one spelling), and only what is sure to read tables is passed on.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from schemas.errors import StorageError
from sinks.storage.embedded import connect

log = structlog.get_logger(__name__)

MARK = "marketprism-reader-"  # what the `log_comment` of a reader's queries begins with
# Memory is that of one query; beyond a part of it, groups and sorted rows go to disk.
_LIMITS = {
    "max_execution_time": 60,  # s
    "max_memory_usage": 400_000_000,
    "max_bytes_before_external_group_by": 150_000_000,
    "max_bytes_before_external_sort": 150_000_000,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 100_000_000,
    "result_overflow_mode": "'throw'",
}
_ECHO = 200  # characters of a longer query that its error repeats
_HEAD = re.compile(r"(?:Code: \d+\. DB::Exception: )*")
_NAME = re.compile(r"\([A-Z_]+\)")
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"})
_STATEMENTS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS")
_FORBIDDEN = re.compile(r"\bINTO\s+OUTFILE\b|\bPARALLEL\s+WITH\b", re.IGNORECASE)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_QUOTED = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
# Table functions that stay inside the engine's own tables and memory; all others reach files, networks or processes.
_HARMLESS = frozenset(
    {"format", "generate_series", "generaterandom", "generateseries", "merge", "mergetreeindex", "null", "numbers",
     "numbers_mt", "primes", "values", "view", "zeros", "zeros_mt", "sqlstandardvalues", "dictionary"}
)  # fmt: skip


class Reader:
    """One read-only connection; used by one thread at a time. `mark` is the `log_comment` of its queries."""

    def __init__(self, directory: Path, database: str, mark: str = MARK) -> None:
        self.mark = mark
        self._directory = directory
        self._database = database
        self._connection = connect(directory)
        self._outside = self._outside_functions()
        self._prepare()

    def ask(self, query: str, output: str, parameters: Mapping[str, str] | None = None) -> bytes:
        """The answer in a ClickHouse format (the query's own FORMAT goes before); `StorageError` with `Code: N.`"""
        parameters = dict(parameters or {})
        if self._connection is None:
            self._connection = connect(self._directory)
            self._prepare()
        try:
            self._check(query)
            return bytes(self._connection.query(query, output, params=parameters).bytes())
        except RuntimeError as error:
            # The engine puts what a query wrote before it failed (for want of memory) before the next one's answer.
            self.close()
            length = max(map(len, (query, output, *parameters, *parameters.values())))
            raise StorageError(_without_echo(str(error)) if length > _ECHO else str(error)) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _prepare(self) -> None:
        """Limit the connection to reading."""
        try:
            self._connection.query(f"USE {self._database}")
        except RuntimeError:  # not migrated yet: queries may still name a database
            log.info("the database is not there yet", database=self._database)
        limits = _LIMITS | {"log_comment": f"'{self.mark}'"}
        self._connection.query("SET " + ", ".join(f"{name} = {value}" for name, value in limits.items()))
        self._connection.query("SET readonly = 1")

    def _check(self, query: str) -> None:
        if "\0" in query:
            raise _refused("a query holds no NUL")
        # A parameter is read in the escaped form of TabSeparated: unescaped, the text
        # that is checked would not be the text that runs.
        escaped = query.translate(_ESCAPES)
        sql = self._value("SELECT formatQuerySingleLine({query:String})", query=escaped).strip()
        if not sql:  # what is killed before it begins answers nothing
            raise StorageError("Code: 394. DB::Exception: the query was ended before it began. (QUERY_WAS_CANCELLED)")
        bare = _QUOTED.sub(_plain_name, _LITERAL.sub("''", sql))
        if not bare.startswith(_STATEMENTS):
            raise _refused(f"only {', '.join(_STATEMENTS)} are answered here")
        forbidden = _FORBIDDEN.search(bare)
        if forbidden:
            raise _refused(f"{forbidden[0]} is not allowed here")
        for call in _CALL.finditer(bare):
            if call[1].lower() in self._outside:
                raise _refused(f"the function {call[1]} reaches outside the database")

    def _outside_functions(self) -> frozenset[str]:
        names = self._value(
            "SELECT arrayStringConcat(groupArray(lower(name)), ' ') FROM (SELECT name FROM system.table_functions "
            "UNION ALL SELECT name FROM system.functions WHERE categories LIKE '%AI%')"
        )
        return frozenset(names.split()) - _HARMLESS

    def _value(self, sql: str, **parameters: Any) -> str:
        return str(self._connection.query(sql, "TSVRaw", params=parameters).bytes().decode())


def _plain_name(quoted: re.Match[str]) -> str:
    """A quoted name as it would stand without quotes; one that needs them is no function's."""
    return quoted[1] if quoted[1].isidentifier() else "quoted"


def _refused(reason: str) -> StorageError:
    return StorageError(f"Code: 164. DB::Exception: {reason}: this connection only reads. (READONLY)")


def _without_echo(text: str) -> str:
    """An error's code, the beginning of its message, which may be a long query itself, and its name."""
    head = _HEAD.match(text)
    end = (head.end() if head else 0) + _ECHO
    names = _NAME.findall(text[-_ECHO:])
    return text if len(text) <= end else f"{text[:end]}… {' '.join(names[-1:])}".rstrip()
