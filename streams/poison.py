"""Count the failures of records that crash the worker, so that a bug costs one record and not the pipeline.

An error crashes the worker, which restarts and reads the record again, in case the error was transient. Each failure is
counted in the checkpoint table before the crash. A record that has used up its attempts is poison: the next worker that
reads it sets it aside.
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
_SAVED_WITHIN = 5.0  # s: if the broker is unavailable, the record is probably not at fault
_TRACEBACK = 20_000  # characters of a traceback that are kept, from its end

Save = Callable[[Any, str, bytes], Awaitable[None]]  # partition, key and value of a table entry


class Failures:
    """Last failed record of each source partition, with its attempts. `save` puts an entry into the table."""

    def __init__(self, attempts: int, save: Save) -> None:
        self._attempts = attempts
        self._save = save
        self._failed: dict[Any, dict[str, Any]] = {}

    @staticmethod
    def is_key(key: str) -> bool:
        """Return whether a table entry is that of a failed record."""
        return key.startswith(_KEY)

    def load(self, tp: Any, entries: dict[str, bytes]) -> None:
        """Restore a partition's entry from those of the table."""
        self._failed.pop(tp, None)
        if dump := entries.get(_key(tp)):
            self._failed[tp] = orjson.loads(dump)

    def is_poison(self, tp: Any, offset: int) -> bool:
        """Return whether the record has used up its attempts."""
        failed = self._failed.get(tp)
        return failed is not None and failed["offset"] == offset and failed["attempts"] >= self._attempts

    def reason(self, tp: Any) -> str:
        """Return why a partition's poison record is set aside, with the traceback."""
        failed = self._failed[tp]
        return f"the worker failed on it {failed['attempts']} times: {failed['error']}"

    async def count(self, tp: Any, offset: int, error: BaseException) -> None:
        """Save one more failure on this record, before the worker crashes."""
        failed = self._failed.get(tp)
        attempts = failed["attempts"] + 1 if failed is not None and failed["offset"] == offset else 1
        text = "".join(traceback.format_exception(error))[-_TRACEBACK:].strip()
        self._failed[tp] = {"offset": offset, "attempts": attempts, "error": text}
        place = {"topic": tp.topic, "partition": tp.partition, "offset": offset}
        log.error("a record cannot be processed", **place, attempt=attempts, of=self._attempts, error=error)
        try:
            await asyncio.wait_for(self._save(tp, _key(tp), orjson.dumps(self._failed[tp])), _SAVED_WITHIN)
        except (TimeoutError, KafkaError) as save_error:
            log.warning("the failed attempt could not be saved", **place, error=save_error)


def _key(tp: Any) -> str:
    return f"{_KEY}{tp.topic}:{tp.partition}"
