"""Dead letters for rows that ClickHouse refuses."""

import base64

import orjson
from aiokafka import ConsumerRecord

from sinks.storage import Refusal

_MAX_FRAME = 262_144  # bytes of a frame that a dead letter repeats


def dead_letter(topic: str, record: ConsumerRecord, refusal: Refusal) -> bytes:
    """A refused record as an event of `dead_letters`; its frame is the record's value, with the row's own source.

    Its own source is `sink-<topic>:<partition>:<offset>:0:0`, the place where the row stands: the row's source may
    be below what its raw partition's own dead letters have reached, and would be taken for a repetition.
    """
    exchange, _, symbol = (record.key or b"").decode(errors="replace").rpartition(":")
    value = record.value or b""
    encoding, frame = _readable(value[:_MAX_FRAME])
    return orjson.dumps(
        {
            "source": f"sink-{topic}:{record.partition}:{record.offset}:0:0",
            "exchange": exchange or "?",
            "symbol": symbol or "?",
            "local_timestamp": max(record.timestamp, 0) * 1000,
            "topic": topic,
            "reason": f"refused by ClickHouse: {refusal.reason}",
            "encoding": encoding,
            "frame": frame,
            "frame_bytes": len(value),
        }
    )


def _readable(value: bytes) -> tuple[str, str]:
    try:
        return "text", value.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(value).decode()
