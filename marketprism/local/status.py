"""Report how a running system is: broker, workers, sink, lag, feeds and disk (`marketprism status`)."""

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from marketprism.local.disk import free_bytes
from marketprism.local.findings import Check, Finding, examine
from marketprism.local.stack_state import STATE_FILE, StackState
from marketprism.ops.feed_ages import feed_ages
from marketprism.ops.groups import Group, Member, describe_groups
from marketprism.ops.lag import LagReader
from marketprism.ops.topics import admin
from schemas.settings import Settings
from schemas.topics import SINK_GROUP, TOPICS, WORKER_GROUP
from sinks.directory import directory_of, running_address
from sinks.sql.client import run_query
from sinks.stack_lock import is_in_use

_LATE = 15.0  # s of lag from which a consumer does not keep up
_LISTED = 6  # topics; more are counted
_SILENT = 60.0  # s without a message from which a feed is silent
_STORED = "SELECT max(_inserted) > 0 ? date_diff('second', max(_inserted), now()) : -1 FROM status"

_ROLES = {WORKER_GROUP: "worker", SINK_GROUP: "sink"}


def describe_stack(state: StackState) -> list[Finding]:
    """Return what is known of a stack by its own account, its processes included."""
    if not is_in_use(Path(state.data)):
        return [Finding("stack", False, f"{state.title or 'the stack'} in {state.data} is not running")]
    if not state.title:
        return [Finding("stack", False, f"{Path(state.data) / STATE_FILE} cannot be read: its settings are not known")]
    text = f"{state.title}, for {duration(time.time() - state.started_at)}, process {state.pid}, data in {state.data}"
    processes = [
        Finding(
            process.name,
            process.state == "running",
            f"{process.state}, process {process.pid}" + (f", {process.restarts} restarts" if process.restarts else ""),
        )
        for process in state.processes
    ]
    return [Finding("stack", True, text), *processes]


async def _broker(settings: Settings) -> list[Finding]:
    async with admin(settings) as client:
        existing = set(await client.list_topics())
    if missing := [name for name in TOPICS if settings.topic(name) not in existing]:
        text = f"{settings.kafka} lacks {', '.join(missing)}: run `marketprism topics --create`"
        return [Finding("broker", False, text)]
    return [Finding("broker", True, f"{settings.kafka} has all {len(TOPICS)} topics")]


async def _groups(settings: Settings) -> list[Finding]:
    async with admin(settings) as client:
        groups = {group.name: group for group in await describe_groups(client, settings)}
    return [
        finding
        for name, role in _ROLES.items()
        for finding in _members(f"{role}s", groups.get(settings.topic(name)), settings)
    ]


def _members(name: str, group: Group | None, settings: Settings) -> list[Finding]:
    """Describe a group: each member with its partitions."""
    if group is None or not group.members:
        return [Finding(name, False, f"none runs: start one with `marketprism {name[:-1]}`")]
    if group.state != "Stable":
        return [Finding(name, None, f"{len(group.members)}, taking over partitions")]
    if group.idle:
        text = f"{len(group.members)}, without partitions: create missing topics with `marketprism topics --create`"
        return [Finding(name, False, text)]
    described = sorted((_partitions(member, settings), member.host) for member in group.members)
    return [
        Finding(name, True, f"{host}{f', number {number} of {len(described)}' if described[1:] else ''}: {partitions}")
        for number, (partitions, host) in enumerate(described, 1)
    ]


def _partitions(member: Member, settings: Settings) -> str:
    """Describe partitions by their numbers: `0-3 of raw.binance, raw.okx`."""
    named = {topic.removeprefix(settings.topic_prefix): numbers for topic, numbers in member.partitions.items()}
    numbered = sorted((ranges(numbers), topic) for topic, numbers in named.items() if topic in TOPICS)
    parts = []
    for numbers, group in groupby(numbered, key=lambda pair: pair[0]):
        topics = [topic for _, topic in group]
        parts.append(f"{numbers} of {', '.join(topics) if len(topics) <= _LISTED else f'{len(topics)} topics'}")
    return "partitions " + "; ".join(parts) if parts else "no partitions"


async def _lag(settings: Settings) -> list[Finding]:
    async with LagReader(settings) as reader:
        lag = await reader.read()
    found = []
    for group, role in _ROLES.items():
        seconds, records = lag.seconds_by_group[group], lag.by_group[group]
        text = f"{role}s are {seconds:,.1f} s behind ({records:,} records)"
        found.append(Finding("lag", seconds < _LATE, text, seconds, "s"))
    return found


async def _feeds(settings: Settings) -> list[Finding]:
    ages = await feed_ages(settings)
    if not ages:
        return [Finding("feeds", False, "no worker has reported on any feed in the last seconds")]
    return [
        Finding(feed, age < _SILENT, f"last event {age:,.1f} s ago", age, "s")
        if age < math.inf
        else Finding(feed, False, "no event yet")
        for feed, age in ages.items()
    ]


async def _storage(settings: Settings) -> list[Finding]:
    answer = await asyncio.to_thread(run_query, settings, _STORED)
    age = int(answer)
    address = running_address(directory_of(settings)) if settings.clickhouse.startswith("chdb://") else ""
    served = f"; SQL over HTTP at http://{address}/" if address else ""
    if age < 0:
        return [Finding("clickhouse", False, f"nothing is stored yet{served}")]
    return [Finding("clickhouse", age < _SILENT, f"the last event was stored {age} s ago{served}", age, "s")]


async def check_disk(settings: Settings) -> list[Finding]:
    """Check the disk of an embedded ClickHouse, which demo and live share with their broker."""
    if not settings.clickhouse.startswith("chdb://"):
        return []
    directory = directory_of(settings).absolute()
    free = free_bytes(directory)
    text = f"{free / 1e9:,.1f} GB free for {directory}"
    if free < settings.disk_low_mb * 1_000_000:
        text = f"{text}: below {settings.disk_low_mb} MB (setting `disk_low_mb`), free some space"
        return [Finding("disk", False, text, free, "bytes")]
    return [Finding("disk", True, text, free, "bytes")]


_BY_BROKER: Sequence[Check] = (("groups", _groups), ("lag", _lag), ("feeds", _feeds))
_STORED_DATA: Sequence[Check] = (("clickhouse", _storage), ("disk", check_disk))


async def examine_system(settings: Settings) -> list[Finding]:
    """Examine what runs. What only the broker knows is left out if it does not answer."""
    broker = await examine(settings, [("broker", _broker)])
    known = _BY_BROKER if broker[0].ok else ()
    return [*broker, *await examine(settings, [*known, *_STORED_DATA])]


def ranges(numbers: Iterable[int]) -> str:
    """Write numbers as ranges: `0-2, 5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def duration(seconds: float) -> str:
    """Write a duration in its two largest units: `2 h 5 min`."""
    whole = max(int(seconds), 0)  # the clock may have been set back
    units = [("d", whole // 86_400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60)]
    first = next((number for number, (_, value) in enumerate(units) if value), len(units) - 1)
    return " ".join(f"{value} {unit}" for unit, value in units[first : first + 2] if value) or "0 s"
