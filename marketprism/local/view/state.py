"""Hold what the live view shows at one moment."""

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from marketprism.local.disk import DiskMonitor
from marketprism.local.polled_value import Reading, age_note
from marketprism.local.processes import ChildStatus
from marketprism.ops.lag import Lag
from marketprism.ops.latest_quotes import LatestQuote
from marketprism.ops.raw_topic_stats import RawStats
from marketprism.ops.table_stats import TableStats
from schemas.settings import Settings

_RATES_OVER = 3.0  # s
_CONNECTS_WITHIN = 10.0  # s


@dataclass(frozen=True)
class ViewState:
    """Everything that is shown at one moment. Values that could not be read are marked with their age.

    `now`: µs since the epoch, to which ages refer; in a replay, the time that it has reached.
    `shown_for`: seconds since the view was first drawn. `problems`: why each feed that was tried cannot be reached;
    empty for one that can.
    """

    title: str
    settings: Settings
    now: int
    raw_stats: RawStats
    statuses: list[ChildStatus]
    lag: Reading[Lag]
    table_stats: Reading[TableStats]
    quotes: Sequence[LatestQuote]
    rates: dict[str, float]  # frames/s by feed
    disk: DiskMonitor
    note: str = ""
    shown_for: float = math.inf
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def starting(self) -> bool:
        """Whether it is too early to miss anything."""
        return self.shown_for < _CONNECTS_WITHIN

    @property
    def has_ingest(self) -> bool:
        """Whether feeds are ingested at all: a replay has none."""
        return any(status.name == "ingest" for status in self.statuses)

    @property
    def ingest_stopped(self) -> bool:
        """Whether ingest was stopped on purpose, so that the feeds are silent."""
        return any(status.name == "ingest" and status.state == "stopped" for status in self.statuses)

    def note_of(self, age: float) -> str:
        """Return a note on the age of a value, if it is old or overdue."""
        return "" if math.isinf(age) and self.starting else age_note(age)

    @property
    def frames_age(self) -> str:
        """Note on the age of the raw records, of which a running ingest writes some every second."""
        running = any(status.name == "ingest" and status.state != "stopped" for status in self.statuses)
        return self.note_of(self.raw_stats.age) if running else ""

    @property
    def warnings(self) -> list[str]:
        """Outdated values, low disk space, and that no feed can be reached."""
        ages = {
            "frames": self.frames_age,
            "Kafka": self.note_of(self.lag.age),
            "ClickHouse": self.note_of(self.table_stats.age),
        }
        found = [f"{name} {age}" for name, age in ages.items() if age]
        if self.problems and all(self.problems.values()) and not self.ingest_stopped:
            found.append("no feed can be reached: still trying")
        if self.disk.state != "ok":
            found.append(f"disk {self.disk.state}: {self.disk.free / 1e9:.2f} GB free")
        return found

    def age(self, at: int) -> float:
        """Return the seconds since a time in µs."""
        return max(self.now - at, 0) / 1e6


class Rates:
    """Frame rates by feed, over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, dict[str, int]]] = deque([(time.monotonic(), {})])

    def update(self, frames: dict[str, int]) -> dict[str, float]:
        """Return the current rates, from the total number of frames by feed."""
        now = time.monotonic()
        self._samples.append((now, frames))
        while self._samples[1][0] < now - _RATES_OVER:
            self._samples.popleft()
        began, before = self._samples[0]
        elapsed = max(now - began, 1e-3)
        return {feed: (count - before.get(feed, 0)) / elapsed for feed, count in frames.items()}
