"""Replay captures into the raw topics: `marketprism replay [FEED:]FILE …`.

Flat out, the same input gives the same records at the same offsets of a fresh topic: batches are cut by lines, bytes
and recorded time, never by a clock.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from marketprism.captures.capture import Capture
from marketprism.captures.merge import CaptureMerge
from marketprism.captures.replay_lines import ReplayLines
from marketprism.captures.replay_sender import ReplaySender
from marketprism.captures.replay_sources import Source, open_sources
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_REPORT = 2_000  # lines between progress reports
_PATIENCE = 0.002  # s ahead of its time that a line may leave


@dataclass
class ReplaySummary:
    """`frames`: of the sources; `lines`: written, markers and ticks too.

    Left out: `control` frames, and `repeated` lines, which another of the captures gave.
    """

    frames: int = 0
    lines: int = 0
    records: int = 0
    control: int = 0
    repeated: int = 0
    seconds: float = 0.0
    recorded_seconds: float = 0.0


Progress = Callable[[ReplaySummary, int, int], None]  # so far, bytes of the files read, bytes in all


async def replay(
    settings: Settings,
    sources: Sequence[Source],
    speed: float | None = None,
    progress: Progress | None = None,
) -> ReplaySummary:
    """Replay the sources merged by receipt time. `speed`: 1 is recorded pace, `None` flat out.

    `RawRecordError` for a file that is no capture or is given twice, `StackError` where the broker or its topics are
    missing.
    """
    captures = open_sources(sources)
    merged = CaptureMerge(captures)
    lines = ReplayLines(captures, settings.partitions)
    async with ReplaySender(settings, lines.exchanges) as sender:
        report = _Report(progress, captures, merged, lines, sender)
        pace = _Pace(speed, sender) if speed is not None else None
        for number, line in enumerate(merged):
            if pace is not None:
                await pace.wait(line.local_timestamp)
            for topic_line in lines.of(line):
                sender.add(topic_line)
            if sender.crowded:
                await sender.relieve()
            if not number % _REPORT:
                report.tell()
        for topic_line in lines.end():
            sender.add(topic_line)
        await sender.flush()
        if merged.repeated:
            log.warning("the captures overlap: what two of them hold was replayed once", lines=merged.repeated)
        return report.tell()


class _Report:
    """Counts for the caller, while it runs and at the end."""

    def __init__(
        self,
        progress: Progress | None,
        captures: list[Capture],
        merged: CaptureMerge,
        lines: ReplayLines,
        sender: ReplaySender,
    ) -> None:
        self._progress, self._captures, self._merged = progress, captures, merged
        self._lines, self._sender = lines, sender
        self._summary = ReplaySummary()
        self._began = time.monotonic()

    def tell(self) -> ReplaySummary:
        summary, lines, sender = self._summary, self._lines, self._sender
        summary.frames, summary.lines, summary.records = lines.frames, sender.lines, sender.records
        summary.seconds, summary.recorded_seconds = time.monotonic() - self._began, lines.span
        summary.repeated = self._merged.repeated
        summary.control = sum(capture.control for capture in self._captures)
        if self._progress is not None:
            done = sum(capture.done for capture in self._captures)
            self._progress(summary, done, sum(capture.size for capture in self._captures))
        return summary


class _Pace:
    """Recorded time against the clock. What has gathered leaves before a wait."""

    def __init__(self, speed: float, sender: ReplaySender) -> None:
        self._speed = speed
        self._sender = sender
        self._first = 0
        self._began = 0.0

    async def wait(self, stamp: int) -> None:
        now = time.monotonic()
        if not self._first:
            self._first, self._began = stamp, now
        ahead = self._began + (stamp - self._first) / 1e9 / self._speed - now
        if ahead > _PATIENCE:
            self._sender.cut_all()
            await self._sender.relieve()
            await asyncio.sleep(ahead)
