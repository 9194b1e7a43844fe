"""Replay captures into the raw topics (`marketprism replay [FEED:]FILE …`).

The first report of progress comes once all files are open and the broker has answered.

At full speed, the same input produces the same records at the same offsets of a new topic: batches are closed by number
of lines, bytes and recorded time, never by a clock.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from marketprism.captures.merge import CaptureMerge
from marketprism.captures.replay_lines import ReplayLines
from marketprism.captures.replay_sender import ReplaySender
from marketprism.captures.replay_sources import ReplaySource, open_sources
from schemas.raw import RawLine
from schemas.settings import Settings

log = structlog.get_logger(__name__)

_REPORT_EVERY = 2_000  # lines between progress reports
_MAX_LEAD = 0.002  # s that a line may be sent before its time


@dataclass
class ReplaySummary:
    """Result of a replay so far. `frames` of the sources; `lines` written, including markers and ticks; `records` sent.

    Left out were `control` frames, and `repeated` lines, which another capture also contains.
    """

    frames: int = 0
    lines: int = 0
    records: int = 0
    control: int = 0
    repeated: int = 0
    seconds: float = 0.0
    recorded_seconds: float = 0.0


Progress = Callable[[ReplaySummary, int, int], None]  # summary so far, bytes of the files read, total bytes


async def replay(
    settings: Settings,
    sources: Sequence[ReplaySource],
    speed: float | None = None,
    progress: Progress | None = None,
) -> ReplaySummary:
    """Replay the sources, merged by receipt time. `speed`: 1 is the recorded speed, `None` full speed.

    Raise `RawRecordError` for a file that is not a capture or is given twice, and `StackError` if the broker or its
    topics are missing.
    """
    captures = open_sources(sources)
    merged = CaptureMerge(captures)
    lines = ReplayLines(captures, settings.partitions)

    def update(summary: ReplaySummary) -> None:
        summary.repeated = merged.repeated
        summary.control = sum(capture.control for capture in captures)
        if progress is not None:
            read = sum(capture.bytes_read for capture in captures)
            progress(summary, read, sum(capture.size for capture in captures))

    async with ReplaySender(settings, lines.exchanges) as sender:
        player = Player(lines, sender, speed, update)
        for line in merged:
            await player.play(line)
        await player.end()
        if merged.repeated:
            log.warning("the captures overlap: duplicate lines were left out", lines=merged.repeated)
        return player.report()


class Player:
    """Player of the lines of a replay: call `play` for each line by receipt time, then `end`."""

    def __init__(
        self, lines: ReplayLines, sender: ReplaySender, speed: float | None, update: Callable[[ReplaySummary], None]
    ) -> None:
        self._lines, self._sender, self._update = lines, sender, update
        self._pace = _Pace(speed, sender) if speed is not None else None
        self._summary = ReplaySummary()
        self._began = time.monotonic()
        self._played = 0
        self.report()

    async def play(self, line: RawLine) -> None:
        """Send a line when its time has come."""
        if self._pace is not None:
            await self._pace.wait(line.local_timestamp)
        for topic_line in self._lines.of(line):
            self._sender.add(topic_line)
        if self._sender.has_records:
            await self._sender.send_records()
        self._played += 1
        if not self._played % _REPORT_EVERY:
            self.report()

    async def end(self) -> None:
        """Send a last tick, and wait until everything is acknowledged."""
        for topic_line in self._lines.end():
            self._sender.add(topic_line)
        await self._sender.flush()

    def report(self) -> ReplaySummary:
        """Update and return the summary."""
        summary, lines, sender = self._summary, self._lines, self._sender
        summary.frames, summary.lines, summary.records = lines.frames, sender.lines, sender.records
        summary.seconds, summary.recorded_seconds = time.monotonic() - self._began, lines.span
        self._update(summary)
        return summary


class _Pace:
    """Pacing of a replay by the recorded times. Incomplete batches are sent before each wait."""

    def __init__(self, speed: float, sender: ReplaySender) -> None:
        self._speed = speed
        self._sender = sender
        self._first = 0
        self._began = 0.0

    async def wait(self, stamp: int) -> None:
        """Wait until the time of a line that was received at `stamp`, ns."""
        now = time.monotonic()
        if not self._first:
            self._first, self._began = stamp, now
        ahead = self._began + (stamp - self._first) / 1e9 / self._speed - now
        if ahead > _MAX_LEAD:
            self._sender.close_batches()
            await self._sender.send_records()
            await asyncio.sleep(ahead)
