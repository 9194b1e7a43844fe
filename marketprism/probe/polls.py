"""Poll each endpoint of a feed once."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import urlencode

from ingest.exchanges.base import Connector
from ingest.exchanges.polls import PollRow
from ingest.rest import Rest
from marketprism.probe.cell import FALLBACK, Cell
from marketprism.probe.expected import shapes_of
from marketprism.probe.failures import RestHealth
from schemas.errors import ExchangeError, FrameError
from schemas.instruments import Instrument, instrument_of_key
from schemas.keys import key_of
from schemas.markers import answer_of
from schemas.symbols import is_currency
from streams.normalize import parse_answer
from streams.normalize.messages import Rejected

_ROWS = 3  # that are asked for: the newest may be of a period that is still running


class PollOnce(NamedTuple):
    """One request. `name`: what the exchange calls the subject, an instrument or a currency."""

    cell: Cell
    row: PollRow
    name: str
    instrument: Instrument


def polls_of(connector: Connector, instruments: Iterable[Instrument]) -> Iterator[PollOnce]:
    """Yield the polls of these instruments and their currencies, each once, and that of each book's best levels."""
    seen = set()
    for instrument in instruments:
        for channel, row in (*connector.polled.items(), (FALLBACK, connector.best_levels)):
            if row.of and instrument.kind not in row.of:
                continue
            subject, name = instrument, instrument.exchange_symbol
            if row.subject == "currency":
                if not is_currency(instrument.base):
                    continue
                subject, name = instrument_of_key(key_of(instrument.exchange, instrument.base)), instrument.base
            if (channel, subject.key) not in seen:
                seen.add((channel, subject.key))
                shapes = shapes_of(connector.name, channel)
                cell = Cell(connector.name, channel, subject.symbol, instrument.kind, is_request=True, shapes=shapes)
                yield PollOnce(cell, row, name, subject)


async def run_polls(polls: Iterable[PollOnce], rest: Rest, health: RestHealth) -> None:
    """Run all polls, within the exchange's limits."""
    async with asyncio.TaskGroup() as tasks:
        for poll in polls:
            tasks.create_task(_run(poll, rest, health))


async def _run(poll: PollOnce, rest: Rest, health: RestHealth) -> None:
    cell, row = poll.cell, poll.row
    parameters = row.query(poll.name) | row.rows(min(_ROWS, row.most) or 1)
    cell.asked_at = time.monotonic()
    try:
        body = await rest.get(row.path, row.weight, **parameters)
    except ExchangeError as error:
        cell.failure = health.failure_of(error)
        return
    cell.on_answer(time.monotonic(), body)
    answer = answer_of(cell.channel, f"{row.path}?{urlencode(parameters)}", time.time_ns() // 1000, body)
    try:
        messages = parse_answer(answer, poll.instrument, time.time_ns() // 1000)
    except FrameError as error:
        cell.dead_letters[str(error)] += 1
        return
    cell.rows = len(messages)
    cell.dead_letters.update(each.reason for each in messages if isinstance(each, Rejected))
