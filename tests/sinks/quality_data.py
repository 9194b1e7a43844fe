"""Write made-up hours of an instrument to the tables, and read what the view `data_quality` says of them."""

from typing import Any

from marketprism.ops.quality import QUERY, Score
from sinks.sql.read_only import ReadOnlyConnection
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import DAY, encoded

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000  # µs
BOTH = ("trades", "books")
_OUTAGE = {"first_missing": "", "last_missing": ""}


class Database:
    """The tables of the sink, and what a read-only client reads from the view."""

    def __init__(self, storage: EmbeddedStorage, reader: ReadOnlyConnection) -> None:
        self.storage = storage
        self.reader = reader
        self._offset = 0

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        """Insert events as the sink does. All of one call are of one day."""
        values = [encoded(f"market.{table}", **row) for row in rows]
        offsets = list(range(self._offset, self._offset + len(rows)))
        self._offset += len(rows)
        block = Block(0, values, offsets)
        assert self.storage.insert(f"prism.{table}", block, block.token(table)) is None

    def scores(self, symbol: str, since: int, until: int) -> dict[int, Score]:
        """Return the scores of a symbol by the number of the hour since `DAY`."""
        answer = self.reader.run(QUERY, "JSONEachRow", {"since": str(since), "until": str(until)})
        rows = map(Score.model_validate_json, answer.splitlines())
        return {(row.hour - DAY) // HOUR: row for row in rows if row.symbol == symbol}


class Instrument:
    """One instrument's events. Times are µs since `DAY`."""

    def __init__(self, database: Database, symbol: str) -> None:
        self._database = database
        self._symbol = symbol

    def insert(self, table: str, at: int, **fields: Any) -> None:
        self._database.insert(table, self._row(at, **fields))

    def status(self, at: int, kind: str, *channels: str) -> None:
        self.insert("status", at, type=kind, channels=list(channels))

    def deliver(self, begin: int, end: int, channels: tuple[str, ...] = BOTH, **report: Any) -> None:
        """Deliver a minute's trade and book event after 5 ms each, and report both channels twice a minute."""
        for channel in channels:
            row = self._row(0, **({"type": "snapshot"} if channel == "books" else {}))
            stamps = [{"timestamp": DAY + at, "local_timestamp": DAY + at + 5_000} for at in range(begin, end, MINUTE)]
            self._database.insert(channel, *(row | stamp for stamp in stamps))
        self.report(begin, end, channels, **report)

    def report(self, begin: int, end: int, channels: tuple[str, ...] = BOTH, **fields: Any) -> None:
        fields = {"type": "report", "messages": 5, "clock_offset": 0} | fields
        reports = [
            self._row(at, **fields | {"channels": [channel]})
            for at in range(begin, end, 30 * SECOND)
            for channel in channels
        ]
        self._database.insert("status", *reports)

    def gap(self, name: str, channel: str, since: int, **times: int) -> None:
        """Report a gap: `opened`, `closed` and `filled` at the given times."""
        for kind, at in times.items():
            self.insert("gaps", at, type=kind, id=name, channel=channel, since=DAY + since, **_OUTAGE)

    def lose(self, first: int, last: int, since: int, **times: int) -> None:
        """Report trades as missing by their numbers."""
        numbers = {"id": f"trades:{first}", "first_missing": str(first), "last_missing": str(last)}
        for kind, at in times.items():
            self.insert("gaps", at, type=kind, channel="trades", since=DAY + since, **numbers)

    def compare(self, at: int, check: str, compared: int, differed: int, late: int = 0) -> None:
        counts = {"compared": compared, "agreed": compared - differed, "differed": differed, "late": late}
        self.insert("quality", at, type="report", check=check, cause="", **counts)

    def scores(self, until: int, since: int = 0) -> dict[int, Score]:
        return self._database.scores(self._symbol, DAY + since, DAY + until)

    def _row(self, at: int, **fields: Any) -> dict[str, Any]:
        return {"symbol": self._symbol, "timestamp": DAY + at, "local_timestamp": DAY + at} | fields
