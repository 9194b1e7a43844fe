"""Send requests to ingest: those of the operator (`marketprism feeds`) and of the scheduled jobs."""

import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ingest.producer import partition_counts
from marketprism.ops.topics import no_topic
from schemas.control import ReconnectRequest, RefreshRequest, Request, encode_request
from schemas.errors import StackError
from schemas.settings import Settings
from schemas.topics import CONTROL


async def ask_to_reconnect(settings: Settings, feeds: Iterable[str]) -> None:
    """Send a request to move all connections of these feeds to new sockets. Raise `StackError` without a broker."""
    await send(settings, ReconnectRequest(list(feeds), time.time_ns() // 1000), b"reconnect")


async def ask_to_refresh(settings: Settings, feeds: Iterable[str]) -> None:
    """Send a request to read the listings of these feeds again. Raise `StackError` without a broker."""
    await send(settings, RefreshRequest(list(feeds), time.time_ns() // 1000), b"refresh")


async def send(settings: Settings, request: Request, key: bytes) -> None:
    """Send a request. Raise `StackError` without a broker or the topic."""
    topic = settings.topic(CONTROL)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    try:
        await producer.start()
        if not (await partition_counts(producer, [topic]))[topic]:  # a send would wait for it
            raise no_topic(settings, CONTROL)
        await producer.send_and_wait(topic, encode_request(request), key=key)
    except (KafkaError, OSError) as error:
        raise StackError(f"cannot send the request to the broker at {settings.kafka}: {error}") from None
    finally:
        await producer.stop()
