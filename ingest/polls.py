"""All polls of one feed: what only REST offers, once per period for each instrument, or for each currency."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import structlog

from ingest.exchanges.base import Connector
from ingest.exchanges.polls import PollRow
from ingest.poll import Poll
from ingest.raw_writer import RawWriter
from ingest.rest import Rest
from ingest.supervision import supervise
from schemas.instruments import Instrument
from schemas.keys import key_of
from schemas.markers import Connected, Definition, Disconnected, Markers
from schemas.symbols import is_currency

log = structlog.get_logger(__name__)

_CHECK_EVERY = 5.0  # s between two looks for silent polls


class _Subject:
    """What is polled: an instrument, or a currency for the sake of its instruments (`members`, with their channels)."""

    def __init__(self, key: str, name: str) -> None:
        self.key, self.name = key, name
        self.members: dict[str, set[str]] = {}
        self.polls: dict[str, tuple[Poll, asyncio.Task[None]]] = {}  # by channel

    def channels(self) -> set[str]:
        return set[str]().union(*self.members.values())


class Polls:
    """Polls of one feed. Instruments may be added and removed at any time; `run` polls them until cancelled."""

    def __init__(
        self,
        connector: Connector,
        instruments: Mapping[str, Instrument],
        periods: Mapping[str, float],
        rest: Rest,
        writer: RawWriter,
        clock_offset: Callable[[], int],
    ) -> None:
        """`instruments`: the feed's, by key, as they are now defined. `periods`: s, by channel.

        `clock_offset()`: the exchange's clock minus ours, µs.
        """
        self._connector = connector
        self._instruments = instruments
        self._periods = periods
        self._rest = rest
        self._writer = writer
        self._clock_offset = clock_offset
        self._subjects: dict[str, _Subject] = {}  # by key
        self._tasks: asyncio.TaskGroup | None = None
        self._log = log.bind(feed=connector.name, exchange=connector.feed.exchange)

    def add(self, instruments: Iterable[Instrument]) -> None:
        """Poll these instruments and their currencies too."""
        for instrument in instruments:
            for key, name, channels in self._subjects_of(instrument):
                subject = self._subjects.setdefault(key, _Subject(key, name))
                subject.members[instrument.key] = channels
                self._start(subject)

    def remove(self, instrument: Instrument) -> None:
        """Stop polling an instrument. Its currency is polled for the sake of the others, if there are any."""
        for key, _, _ in self._subjects_of(instrument):
            subject = self._subjects[key]
            del subject.members[instrument.key]
            self._stop(subject, subject.polls.keys() - subject.channels(), is_gone=key == instrument.key)
            if not subject.members:
                del self._subjects[key]

    async def run(self) -> None:
        """Poll until cancelled. The polls are marked as connected, and at the end as disconnected or stopped."""
        reason = "internal error"
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for subject in self._subjects.values():
                    self._start(subject)
                while True:
                    await asyncio.sleep(_CHECK_EVERY)
                    self._check_silence()
        except asyncio.CancelledError:
            reason = "shutdown"
            raise
        finally:
            self._tasks = None
            for subject in self._subjects.values():
                self._mark(subject, subject.polls, lambda channels: self._writer.end_of(channels, reason))
                subject.polls.clear()

    def _subjects_of(self, instrument: Instrument) -> Iterator[tuple[str, str, set[str]]]:
        """Yield the key, the exchange's name and the channels of what is polled for an instrument."""
        rows = {
            channel: row for channel, row in self._connector.polled.items() if not row.of or instrument.kind in row.of
        }
        if own := _channels(rows, "instrument"):
            yield instrument.key, instrument.exchange_symbol, own
        if is_currency(instrument.base) and (shared := _channels(rows, "currency")):
            yield key_of(instrument.exchange, instrument.base), instrument.base, shared

    def _start(self, subject: _Subject) -> None:
        """Start the polls that a subject lacks, once `run` has begun."""
        if self._tasks is None or not (new := subject.channels() - subject.polls.keys()):
            return
        if instrument := self._instruments.get(subject.key):
            self._writer.write_marker(time.time_ns(), subject.key, Definition(instrument))
        self._mark(subject, new, lambda channels: Connected(channels=channels))
        for channel in sorted(new):
            poll = self._poll(subject, channel)
            task = self._tasks.create_task(supervise(f"poll {channel} of {subject.key}", poll.run, self._log))
            subject.polls[channel] = poll, task

    def _stop(self, subject: _Subject, channels: Iterable[str], is_gone: bool) -> None:
        """Stop these polls. Of an instrument that `is_gone` no more lines follow."""
        stopped = [channel for channel in sorted(channels) if subject.polls.pop(channel)[1].cancel()]
        if not is_gone:
            reason = "no instrument of the currency is left"
            self._mark(subject, stopped, lambda channels: Disconnected(channels=channels, reason=reason))

    def _poll(self, subject: _Subject, channel: str) -> Poll:
        def write(marker: Markers) -> None:
            self._writer.write_marker(time.time_ns(), subject.key, marker)

        return Poll(
            channel,
            self._connector.polled[channel],
            subject.key,
            subject.name,
            self._periods[channel],
            self._rest,
            write,
            self._clock_offset,
            self._connector.skips,
        )

    def _mark(self, subject: _Subject, channels: Iterable[str], marker_of: Callable[[list[str]], Markers]) -> None:
        if marked := sorted(channels):
            self._writer.write_marker(time.time_ns(), subject.key, marker_of(marked))

    def _check_silence(self) -> None:
        for subject in self._subjects.values():
            for poll, _ in subject.polls.values():
                poll.check_silence()


def _channels(rows: Mapping[str, PollRow], subject: str) -> set[str]:
    return {channel for channel, row in rows.items() if row.subject == subject}
