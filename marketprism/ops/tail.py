"""Read topics from given offsets on, without a consumer group and whatever fails."""

import asyncio
from collections.abc import AsyncIterator

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.logs import error_text, suspect_broker

log = structlog.get_logger(__name__)


async def tail(kafka: str, next_offsets: dict[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    """Yield every record from these offsets on, and advance them. After an error of the broker, try again."""
    while True:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
        try:
            await consumer.start()
            consumer.assign(list(next_offsets))
            for place, offset in next_offsets.items():
                consumer.seek(place, offset)
            while True:
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        next_offsets[place] = record.offset + 1
                        yield record
        except KafkaError as error:
            suspect_broker(error_text(error))
            await asyncio.sleep(1)
        except Exception as error:  # noqa: BLE001 - without a retry, the view would freeze
            topics = sorted({place.topic for place in next_offsets})
            log.warning("cannot read topics, trying again", topics=topics, reason=error)
            await asyncio.sleep(1)
        finally:  # also of a consumer that could not start
            await consumer.stop()
