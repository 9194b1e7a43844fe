"""Dead letters for rows that ClickHouse rejects."""

import orjson
from aiokafka import ConsumerRecord

from schemas.dead_letters import dead_letter
from schemas.keys import UNKNOWN
from schemas.limits import MAX_DEAD_FRAME

_MAX_REASON = 4_096  # characters of an error's text
_MAX_NAME = 256  # characters of a key's exchange or symbol


def rejected_row(topic: str, record: ConsumerRecord, reason: str, most: int = MAX_DEAD_FRAME) -> bytes:
    """Return the event of `dead_letters` for a record that cannot be stored, with up to `most` bytes of its value.

    Its source is `sink-<topic>:<partition>:<offset>:0:0`, the row's own place. The row's own source may be below what
    the dead letters of its raw partition have reached, so it would be taken for a duplicate.
    """
    exchange, _, symbol = (record.key or b"").decode(errors="replace").rpartition(":")
    source = f"sink-{topic}:{record.partition}:{record.offset}:0:0"
    body = dead_letter(
        exchange[:_MAX_NAME] or UNKNOWN,
        symbol[:_MAX_NAME] or UNKNOWN,
        max(record.timestamp, 0) * 1000,
        topic,
        reason[:_MAX_REASON],
        record.value or b"",
        most,
    )
    return orjson.dumps({"source": source} | body)
