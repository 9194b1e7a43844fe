"""Read what each ingest reports of its hosts and connections, and have an instrument moved."""

import asyncio
import time
from typing import NamedTuple
from uuid import uuid4

from marketprism.ops.control import send
from marketprism.ops.topics import read_control
from schemas.connections import ANSWER_WITHIN_S, FeedReport, MoveAnswer, decode_report
from schemas.control import MoveRequest
from schemas.errors import StackError
from schemas.feeds import FEEDS
from schemas.settings import Settings
from schemas.topics import CONNECTIONS

_KEPT_S = 900.0  # for which the last report of an ingest that has died is still shown
_SILENT_S = 20.0  # without a report, after which an ingest has probably died: four reports
_POLL_S = 1.0


class Seen(NamedTuple):
    """Last report of a feed of an ingest. `age_s`: our time minus the broker's, when it was written."""

    report: FeedReport
    age_s: float

    @property
    def is_live(self) -> bool:
        """Whether its ingest is running, as far as the reports say."""
        return self.age_s < _SILENT_S


async def last_reports(settings: Settings) -> list[Seen]:
    """Return the last report of each feed of each ingest that has reported lately and was not stopped.

    Raise `StackError` without a broker or the topic.
    """
    now_ms = time.time() * 1000
    records = await read_control(settings, CONNECTIONS, int(now_ms - _KEPT_S * 1000))
    last = {record.key: record for record in records}.values()
    decoded = [(decode_report(record.value), now_ms - record.timestamp) for record in last if record.value]
    seen = [Seen(report, max(age_ms / 1000, 0.0)) for report, age_ms in decoded if report and report.feed in FEEDS]
    return sorted(seen, key=lambda each: (list(FEEDS).index(each.report.feed), each.report.ingest))


async def move_instrument(settings: Settings, feed: str, symbol: str, target: int = 0) -> list[MoveAnswer]:
    """Have each running ingest of a feed move an instrument to other connections. Return the outcomes.

    `target`: the number of the connections; 0: the idlest. Raise `StackError` if there is no such ingest, or no answer.
    """
    ingests = {seen.report.ingest for seen in await _live(settings, feed) if seen.report.connections}
    if not ingests:
        raise StackError(f"no running ingest has connections of {feed}: see `marketprism feeds`")
    id_, now = uuid4().hex, time.time_ns() // 1000
    await send(settings, MoveRequest(id=id_, feed=feed, symbol=symbol, target=target, timestamp=now), b"move")
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while time.monotonic() < deadline:
        answers = {
            seen.report.ingest: answer
            for seen in await _live(settings, feed)
            for answer in seen.report.answers
            if answer.id == id_
        }
        if ingests <= answers.keys():
            return [answers[ingest] for ingest in sorted(ingests)]
        await asyncio.sleep(_POLL_S)
    raise StackError(f"ingest has not answered within {ANSWER_WITHIN_S:.0f} s: see its log, and `marketprism feeds`")


async def _live(settings: Settings, feed: str) -> list[Seen]:
    return [seen for seen in await last_reports(settings) if seen.report.feed == feed and seen.is_live]
