"""Dead letters for rows that ClickHouse refuses."""

import orjson
from aiokafka import ConsumerRecord

from schemas.dead_letters import readable
from schemas.limits import MAX_DEAD_FRAME

_MAX_REASON = 4_096  # characters of an error's text


def dead_letter(topic: str, record: ConsumerRecord, reason: str, most: int = MAX_DEAD_FRAME) -> bytes:
    """A record that cannot be stored as an event of `dead_letters`; its frame is the value, up to `most` bytes.

    Its source is `sink-<topic>:<partition>:<offset>:0:0`, the place where the row stands: the row's own source may
    be below what its raw partition's own dead letters have reached, and would be taken for a repetition.
    """
    exchange, _, symbol = (record.key or b"").decode(errors="replace").rpartition(":")
    value = record.value or b""
    encoding, frame = readable(value[:most])
    return orjson.dumps(
        {
            "source": f"sink-{topic}:{record.partition}:{record.offset}:0:0",
            "exchange": exchange[:256] or "?",
            "symbol": symbol[:256] or "?",
            "local_timestamp": max(record.timestamp, 0) * 1000,
            "topic": topic,
            "reason": reason[:_MAX_REASON],
            "encoding": encoding,
            "frame": frame,
            "frame_bytes": len(value),
        }
    )
