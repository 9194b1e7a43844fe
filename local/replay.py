"""Replay captures into the raw topics: `marketprism replay FEED:FILE …`.

Flat out, the same input gives the same records at the same offsets of a fresh topic: batches are cut by lines, bytes
and recorded time, never by a clock.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from local.captures import Capture, open_capture
from local.replay_lines import ReplayLines
from local.replay_sender import ReplaySender
from schemas.feeds import Feed
from schemas.raw import RawLine
from schemas.settings import Settings

_REPORT = 2_000  # lines between progress reports
_PATIENCE = 0.002  # s ahead of its time that a line may leave


@dataclass
class ReplaySummary:
    """`frames`: of the sources; `lines`: written, markers and ticks too; `control`: frames left out."""

    frames: int = 0
    lines: int = 0
    records: int = 0
    control: int = 0
    seconds: float = 0.0
    recorded_seconds: float = 0.0


Progress = Callable[[ReplaySummary, int, int], None]  # so far, bytes of the files read, bytes in all


async def replay(
    settings: Settings,
    sources: Sequence[tuple[Feed, Path]],
    speed: float | None = None,
    progress: Progress | None = None,
) -> ReplaySummary:
    """Replay the sources merged by receipt time. `speed`: 1 is recorded pace, `None` flat out.

    `RawRecordError` for a file that is no capture, `StackError` where the broker or its topics are missing.
    """
    captures = [open_capture(feed, path) for feed, path in sources]
    lines = ReplayLines(captures, settings.partitions)
    async with ReplaySender(settings, lines.exchanges) as sender:
        report = _Report(progress, captures, lines, sender)
        pace = _Pace(speed, sender) if speed is not None else None
        for number, line in enumerate(_merged(captures)):
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
        return report.tell()


def _merged(captures: list[Capture]) -> Iterator[RawLine]:
    return heapq.merge(*(capture.lines() for capture in captures), key=attrgetter("local_timestamp"))


class _Report:
    """Counts for the caller, while it runs and at the end."""

    def __init__(
        self, progress: Progress | None, captures: list[Capture], lines: ReplayLines, sender: ReplaySender
    ) -> None:
        self._progress, self._captures, self._lines, self._sender = progress, captures, lines, sender
        self._summary = ReplaySummary()
        self._began = time.monotonic()

    def tell(self) -> ReplaySummary:
        summary, lines, sender = self._summary, self._lines, self._sender
        summary.frames, summary.lines, summary.records = lines.frames, sender.lines, sender.records
        summary.seconds, summary.recorded_seconds = time.monotonic() - self._began, lines.span
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
