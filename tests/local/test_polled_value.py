"""Poll values that cannot always be read."""

import asyncio
import math

import orjson
import pytest

from marketprism.local.polled_value import PolledValue
from schemas.errors import StorageError


async def test_polling_survives_every_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After any error or a timeout, the old value is kept with its age until a new one is read."""
    monkeypatch.setattr("marketprism.local.polled_value._EVERY", 0.01)
    monkeypatch.setattr("marketprism.local.polled_value._TIMEOUT", 0.05)
    errors: list[Exception | None] = [
        TimeoutError(), OSError(), StorageError("x"), orjson.JSONDecodeError("x", "", 0), KeyError("name"), None,
    ]  # fmt: skip

    async def read() -> int:
        if not errors:
            return 2
        if (error := errors.pop(0)) is None:
            await asyncio.sleep(60)
            return 3
        raise error

    value = PolledValue("value", 1, read)
    assert math.isinf(value.age)
    polling = asyncio.create_task(value.poll())
    async with asyncio.timeout(5):
        while value.value != 2:
            await asyncio.sleep(0.01)
    assert not errors
    assert value.reading().value == 2
    assert value.reading().age < 1
    polling.cancel()
