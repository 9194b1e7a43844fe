"""Log levels: the worker with each of them, and the whole system with `ERROR`."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marketprism.local.stack import Stack
from schemas.settings import Settings, load_settings


@pytest.mark.e2e
@pytest.mark.parametrize("level", ["DEBUG", "info", "WARNING", "error"])
async def test_worker(settings: Settings, level: str) -> None:
    """`marketprism worker` gets as far as the broker, where a wrong number of partitions ends it."""
    environment = os.environ | settings.environment() | {"MARKETPRISM_LOG_LEVEL": level, "MARKETPRISM_PARTITIONS": "3"}
    command = [sys.executable, "-m", "marketprism", "worker"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""  # no banner of Faust's
    assert "set `partitions` to what is there" in done.stderr


@pytest.mark.e2e
async def test_the_whole_system(settings: Settings, tmp_path: Path) -> None:
    """The stack of `demo` and `live` starts with level `ERROR`, although it waits for logged lines."""
    named = settings.model_dump(include={"kafka", "topic_prefix", "partitions", "sql_address"})
    async with Stack(load_settings(**named, log_level="ERROR"), tmp_path / "data") as stack:
        await stack.start_storage()
        await stack.start_worker()
        assert [status.state for status in stack.supervisor.statuses] == ["running", "running"]
