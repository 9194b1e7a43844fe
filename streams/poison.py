"""Records that a worker dies on: after some attempts they are set aside, so that a bug costs one record.

A transient error crashes the worker, which restarts and reads the record again. Each crash is counted in the table of
checkpoints before it happens; a record that has used up its attempts is skipped by whoever reads it next.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from aiokafka.errors import KafkaError

log = structlog.get_logger(__name__)

_KEY = "failure:"
_SAVED_WITHIN = 5.0  # s: with the broker away the failure is not the record's, most likely
_TRACEBACK = 20_000  # characters of it that are kept

Save = Callable[[Any, str, bytes], Awaitable[None]]  # partition, key and value of a table entry


class Failures:
    """The last failed record of each source partition, with its attempts. `save` puts an entry into the table."""

    def __init__(self, attempts: int, save: Save) -> None:
        self._attempts = attempts
        self._save = save
        self._known: dict[Any, dict[str, Any]] = {}

    @staticmethod
    def is_key(key: str) -> bool:
        """Whether a table entry is one of these."""
        return key.startswith(_KEY)

    def load(self, tp: Any, entries: dict[str, bytes]) -> None:
        """Find a partition's entry among those of the table."""
        self._known.pop(tp, None)
        if dump := entries.get(_key(tp)):
            self._known[tp] = orjson.loads(dump)

    def is_poison(self, tp: Any, offset: int) -> bool:
        """Whether the record has used up its attempts."""
        known = self._known.get(tp)
        return known is not None and known["offset"] == offset and known["attempts"] >= self._attempts

    def reason(self, tp: Any) -> str:
        """Why the poison record of a partition is skipped, with its traceback."""
        known = self._known[tp]
        return f"the worker failed on it {known['attempts']} times: {known['error']}"

    async def count(self, tp: Any, offset: int, error: BaseException) -> None:
        """Remember one more failure on this record, safely, before the worker goes down."""
        known = self._known.get(tp)
        attempts = known["attempts"] + 1 if known is not None and known["offset"] == offset else 1
        text = "".join(traceback.format_exception(error))[-_TRACEBACK:].strip()
        self._known[tp] = {"offset": offset, "attempts": attempts, "error": text}
        place = {"topic": tp.topic, "partition": tp.partition, "offset": offset}
        log.error("a record cannot be processed", **place, attempt=attempts, of=self._attempts, error=repr(error))
        try:
            await asyncio.wait_for(self._save(tp, _key(tp), orjson.dumps(self._known[tp])), _SAVED_WITHIN)
        except (TimeoutError, KafkaError) as trouble:
            log.warning("the failed attempt could not be counted", **place, error=repr(trouble))


def _key(tp: Any) -> str:
    return f"{_KEY}{tp.topic}:{tp.partition}"
