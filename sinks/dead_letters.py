"""Dead letters for rows that ClickHouse refuses."""

import base64

import orjson
from aiokafka import ConsumerRecord

MAX_FRAME = 262_144  # bytes of a frame that a dead letter repeats
_MAX_REASON = 4_096  # characters of an error's text
_MAX_GROWTH = 1.5  # of a text in JSON, where a control character takes six bytes; base64 takes 1.3


def dead_letter(topic: str, record: ConsumerRecord, reason: str, most: int = MAX_FRAME) -> bytes:
    """A record that cannot be stored as an event of `dead_letters`; its frame is the value, up to `most` bytes.

    Its source is `sink-<topic>:<partition>:<offset>:0:0`, the place where the row stands: the row's own source may
    be below what its raw partition's own dead letters have reached, and would be taken for a repetition.
    """
    exchange, _, symbol = (record.key or b"").decode(errors="replace").rpartition(":")
    value = record.value or b""
    encoding, frame = _readable(value[:most])
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


def _readable(value: bytes) -> tuple[str, str]:
    """Text, or base64 where it is none or would take much more room in JSON."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(value).decode()
    if len(orjson.dumps(text)) > len(value) * _MAX_GROWTH + 1_000:
        return "base64", base64.b64encode(value).decode()
    return "text", text
