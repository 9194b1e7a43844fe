"""Trace a stored row in a running system, or in the data that a finished run has left (`marketprism trace`)."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from marketprism.local.broker import Broker
from marketprism.local.data_lock import DataLock
from marketprism.ops.trace import Step, check_source
from marketprism.ops.trace import trace as trace_source
from schemas.errors import RawRecordError, StorageError
from schemas.settings import Settings
from sinks.sql.client import run_query
from sinks.stack_lock import is_in_use

_SIGNAL_ID = re.compile(r"[A-Z0-9-]+:[a-z]+:[a-z]+:\d+")  # <symbol>:<buy exchange>:<sell exchange>:<opened at>
_SIGNAL = """\
SELECT id, type, source, buy_source, sell_source FROM signals WHERE {column} = '{value}'
ORDER BY local_timestamp LIMIT 1"""


def trace(data: Path | None, settings: Settings, source: str) -> list[Step]:
    """Return the steps from a `source`, or from the opening of a signal by its `id`, down to raw lines.

    `data`: the directory of a finished run, whose broker is started for it. Errors are those of `ops.trace`.
    """
    sides: dict[str, str] = {}
    if _SIGNAL_ID.fullmatch(source):
        source, sides = _signal(settings, "id", source)
        if not sides:
            raise RawRecordError(f"no signal {source} is stored: it is not written yet, or past its retention")
    else:
        check_source(source)
        if source.startswith("join:"):
            _, sides = _signal(settings, "source", source)
    with _kept_broker(data, settings) as reachable:
        return asyncio.run(trace_source(reachable, source, sides))


def _signal(settings: Settings, column: str, value: str) -> tuple[str, dict[str, str]]:
    """Return the source of a stored signal, and the sources of its sides; of one that is not stored, nothing."""
    try:
        answer = run_query(settings, _SIGNAL.format(column=column, value=value), "JSONEachRow")
    except StorageError:
        if column == "id":
            raise
        return value, {}  # the line of the join leads to one side without ClickHouse
    if not answer:
        return value, {}
    row = orjson.loads(answer)
    return row["source"], {"buy": row["buy_source"], "sell": row["sell_source"]}


@contextmanager
def _kept_broker(data: Path | None, settings: Settings) -> Iterator[Settings]:
    """Run the broker of a finished run, if that is what `data` holds."""
    if data is None or is_in_use(data) or not (data / "kafka").is_dir():
        yield settings
        return
    with DataLock(data), Broker(data / "kafka") as broker:
        yield settings.model_copy(update={"kafka": broker.bootstrap})
