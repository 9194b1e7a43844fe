"""Poll one endpoint for one subject, once per period; retry failures, and ask again for what is not there yet."""

import asyncio
import itertools
import time
from collections.abc import Callable
from urllib.parse import urlencode

from ingest.exchanges.polls import PollRow
from ingest.poll_schedule import PollSchedule, jitter_of
from ingest.rest import Rest
from ingest.skips import Skips
from ingest.supervision import backoff_delay, describe_error
from schemas.errors import ExchangeError, RejectedError
from schemas.limits import MAX_FRAME
from schemas.markers import Markers, Resumed, Silent, answer_of

_MAX_BACKOFF = 15.0  # s between two attempts in a period
_FIRST_REPEAT = 2.0  # s until what is not there yet is asked for again; doubles
_MAX_REPEAT = 10.0
_REPEATS = 6
_LONGEST_SLEEP = 30.0  # s after which the time of day is read again: it may be set
_SILENT_AFTER = 2  # periods without an answer


class Poll:
    """Poll of a `channel` for the subject that the exchange calls `name`.

    `write(marker)` writes to the subject's key. `clock_offset()`: the exchange's clock minus ours, µs.
    """

    def __init__(
        self,
        channel: str,
        row: PollRow,
        key: str,
        name: str,
        period_s: float,
        rest: Rest,
        write: Callable[[Markers], None],
        clock_offset: Callable[[], int],
        skips: Skips,
    ) -> None:
        self.channel = channel
        self._row = row
        self._name = name
        self._key = key
        self._period_s = period_s
        self._rest = rest
        self._write = write
        self._clock_offset = clock_offset
        self._skips = skips
        self._jitter_s = jitter_of(channel, key, period_s)
        self._schedule = PollSchedule(row, period_s, self._jitter_s, self._now())
        self._answered_at = time.monotonic()
        self._is_silent = False

    async def run(self) -> None:
        """Poll until cancelled."""
        await asyncio.sleep(self._jitter_s)
        while True:
            end = self._schedule.end_at(self._now())
            await self._poll(end)
            while self._schedule.end_at(now := self._now()) == end:
                await asyncio.sleep(min(self._schedule.left(end, now), _LONGEST_SLEEP))

    def check_silence(self) -> None:
        """Report a poll that has had no answer for two periods."""
        if not self._is_silent and self._age() > _SILENT_AFTER * self._period_s + self._row.lag_s:
            self._is_silent = True
            self._write(Silent(channel=self.channel, age=int(self._age() * 1e6), step="retry"))

    def _now(self) -> float:
        """Return the time by the exchange's clock, s since the epoch."""
        return time.time() + self._clock_offset() / 1e6

    def _age(self) -> float:
        return time.monotonic() - self._answered_at

    async def _poll(self, end: float) -> None:
        """Poll one period: until its answer is there, or the next period is due."""
        answers = 0
        for attempt in itertools.count():
            try:
                await self._ask(end, is_first=not answers)
            except RejectedError as error:
                self._skips.report(f"{self.channel} of {self._key}", str(error))
                return
            except ExchangeError:  # the client reports it
                delay = min(backoff_delay(attempt), _MAX_BACKOFF)
            else:
                if self._schedule.has_arrived(end):
                    return
                if answers == _REPEATS:
                    self._schedule.give_up()
                    return
                delay = min(_FIRST_REPEAT * 2**answers, _MAX_REPEAT)
                answers += 1
            if delay > self._schedule.left(end, self._now()):
                return
            await asyncio.sleep(delay)

    async def _ask(self, end: float, is_first: bool) -> None:
        """Request all rows until now that were not received. Write the answer, unless it repeats the first."""
        row, rows = self._row, self._schedule.rows(self._schedule.row_at(self._now()))
        params = row.query(self._name) | row.rows(rows)
        body = await self._rest.get(row.path, row.weight, **params)
        if len(body) > MAX_FRAME:
            raise RejectedError(f"an answer of {len(body)} bytes is too large to be kept")
        is_new = self._schedule.on_answer(rows, self._newest(body), self._now())
        if is_first or is_new:
            path = f"{row.path}?{urlencode(params)}" if params else row.path
            self._write(answer_of(self.channel, path, int(self._schedule.due(end) * 1e6), body))
        self._on_answered()

    def _newest(self, body: bytes) -> float:
        """Return the time of the newest row in an answer, s since the epoch; 0 if there is none."""
        try:
            return self._row.newest(body) / 1000
        except Exception as error:  # noqa: BLE001 - no answer of an exchange may end the poll
            self._skips.report(
                f"{self.channel} of {self._key}", f"an answer without a readable time: {describe_error(error)}"
            )
            return 0.0

    def _on_answered(self) -> None:
        if self._is_silent:
            self._is_silent = False
            self._write(Resumed(channel=self.channel, age=int(self._age() * 1e6)))
        self._answered_at = time.monotonic()
