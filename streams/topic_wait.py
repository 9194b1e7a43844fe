"""Wait for the broker and the topics, so that processes can be started in any order."""

import asyncio
import time
from collections.abc import Iterable

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from schemas.errors import StackError
from schemas.limits import MAX_MESSAGE
from schemas.logs import error_text, suspect_broker
from schemas.settings import Settings
from schemas.topics import TOPICS
from streams.topic_limits import changelogs, message_limits

log = structlog.get_logger(__name__)

_POLL_EVERY = 1.0  # s
_REPORT_EVERY = 30.0  # s
_TIMEOUT_MS = 5_000


async def wait_for_topics(settings: Settings, names: Iterable[str] = TOPICS) -> None:
    """Return once the broker answers and these topics of the table exist. Log what is missing, at once and every 30 s.

    Raise `StackError` if a topic's number of partitions differs from the setting, or its messages may not be as large
    as ours.
    """
    wanted = {settings.topic(name): TOPICS[name].partitions or settings.partitions for name in names}
    report_at = 0.0
    while (missing := await _missing(settings, wanted)) != []:
        if missing and time.monotonic() >= report_at:
            report_at = time.monotonic() + _REPORT_EVERY
            log.warning(
                "waiting: topics are missing, `marketprism topics --create` creates them",
                kafka=settings.kafka,
                topics=missing,
            )
        await asyncio.sleep(_POLL_EVERY)
    if report_at:
        log.info("all topics exist", kafka=settings.kafka)
    await _check_limits(settings, wanted)


async def _check_limits(settings: Settings, names: Iterable[str]) -> None:
    """Raise `StackError` if a topic does not accept messages as large as ours can be."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await client.start()
        existing = set(await client.list_topics())
        limits = await message_limits(client, existing & {*names, *changelogs(settings)})
    finally:
        await client.close()
    if small := sorted(name for name, limit in limits.items() if limit < MAX_MESSAGE):
        raise StackError(
            f"topics do not accept messages of {MAX_MESSAGE} bytes (`max.message.bytes`): {', '.join(small)}; "
            "`marketprism topics --create` corrects that"
        )


async def _missing(settings: Settings, wanted: dict[str, int]) -> list[str] | None:
    """Return the topics that are missing, or None while no broker can be asked."""
    try:
        ready = await _ready_partitions(settings.kafka, wanted)
    except (KafkaError, OSError) as error:
        suspect_broker(error_text(error))
        return None
    return [topic for topic, partitions in wanted.items() if ready[topic] < partitions]


async def _ready_partitions(kafka: str, wanted: dict[str, int]) -> dict[str, int]:
    """Return the number of partitions that have a leader, by topic."""
    client = AIOKafkaClient(bootstrap_servers=kafka, request_timeout_ms=_TIMEOUT_MS)
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
    finally:
        await client.close()
    for topic, partitions in wanted.items():
        if (found := len(cluster.partitions_for_topic(topic) or ())) not in (0, partitions):
            raise StackError(
                f"topic {topic} has {found} partitions, but the settings say {partitions}: "
                "set `partitions` to what is there, or use another `topic_prefix`"
            )
    return {topic: len(cluster.available_partitions_for_topic(topic) or ()) for topic in wanted}
