"""The sink's inserts into the embedded ClickHouse, compared with the engine's own bulk insert of the same JSON.

The sink also drops duplicates, checks every row and writes the projections.
"""

import itertools
import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.harness import Result, compare, per_second
from bench.rigs.made_events import event
from schemas.settings import load_settings
from schemas.sources import SeenSources
from sinks.migrations import migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage

_BLOCK_ROWS = 20_000
_LEVELS = "Array(Tuple(Decimal(76, 18), Decimal(76, 18)))"
_HEAD = "source String, exchange String, symbol String, timestamp Int64, local_timestamp Int64"
_STRUCTURES = {
    "trades": f"{_HEAD}, id String, price Decimal(76, 18), amount Decimal(76, 18), side String, kind String, "
    "exchange_amount Decimal(76, 18)",
    "quotes": f"{_HEAD}, origin String, sequence Int64, bids {_LEVELS}, asks {_LEVELS}",
    "books": f"{_HEAD}, type String, sequence Int64, previous Int64, bids {_LEVELS}, asks {_LEVELS}",
}


def measure(rows: int = 100_000, rounds: int = 3) -> list[Result]:
    """Measure rows per second of CPU time for each table, inserted by the sink and in bulk."""
    results = []
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(clickhouse=f"chdb://{directory}/clickhouse", database="bench")
        storage = EmbeddedStorage(settings)
        migrate(storage, settings)
        for table in _STRUCTURES:
            count = rows // 10 if table == "books" else rows
            chance = random.Random(1)
            values = [event(table, number, chance) for number in range(count)]
            bulk = _bulk(storage, table, values, Path(directory))
            ours, floor = per_second(count, _sink(storage, table, values)), per_second(count, bulk)
            results.append(compare(f"store {table}", "rows/s", ours, "JSONEachRow in bulk", floor, rounds))
        storage.close()
    return results


def _sink(storage: EmbeddedStorage, table: str, values: list[bytes]) -> Callable[[], None]:
    """Return work that inserts as the sink does."""
    rounds = itertools.count()

    def run() -> None:
        number, sources = next(rounds), SeenSources()
        for first in range(0, len(values), _BLOCK_ROWS):
            fresh = [value for value in values[first : first + _BLOCK_ROWS] if sources.is_new(value)]
            block = Block(0, fresh, list(range(first, first + len(fresh))))
            refusal = storage.insert(f"bench.{table}", block, f"{number}:{block.token(table)}")
            assert refusal is None, refusal

    return run


def _bulk(storage: EmbeddedStorage, table: str, values: list[bytes], directory: Path) -> Callable[[], None]:
    """Return work that inserts the same JSON from a file into a table without projections, checks or dates."""
    file = directory / f"{table}.jsonl"
    file.write_bytes(b"\n".join(values) + b"\n")
    columns = _STRUCTURES[table]
    order = "ENGINE = MergeTree ORDER BY (exchange, symbol, local_timestamp)"
    storage.execute(f"CREATE TABLE bench.{table}_bulk ({columns}) {order}")
    return partial(
        storage.execute, f"INSERT INTO bench.{table}_bulk SELECT * FROM file('{file}', JSONEachRow, '{columns}')"
    )
