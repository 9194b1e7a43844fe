"""`marketprism feeds`: what the operator asks of ingest."""

import time
from collections.abc import Iterable

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.errors import StackError
from schemas.settings import Settings
from schemas.topics import CONTROL


async def ask_to_reconnect(settings: Settings, feeds: Iterable[str]) -> None:
    """Have ingest move all connections of these feeds to new sockets. `StackError` without a broker."""
    body = {"request": "reconnect", "feeds": list(feeds), "timestamp": time.time_ns() // 1000}
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    try:
        await producer.start()
        await producer.send_and_wait(settings.topic(CONTROL), orjson.dumps(body), key=b"reconnect")
    except (KafkaError, OSError) as error:
        raise StackError(f"the broker {settings.kafka} does not take the request: {error}") from None
    finally:
        await producer.stop()
