"""Shared fixtures: one real broker per session, and settings with topics of their own for each test."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
import structlog

from marketprism.local.broker import Broker, free_port
from marketprism.ops.topics import create_topics
from schemas.logs.libraries import LIBRARIES
from schemas.settings import Settings, load_settings

# A busy machine may take any time for an example: the time that one takes is no failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


# The brokers of tests live for minutes at most: to compile more than this costs them more time than it gains.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Leave logging as it was: a command that a test runs in this process configures it."""
    configuration, handlers = structlog.get_config(), logging.root.handlers[:]
    levels = {logger: logger.level for logger in map(logging.getLogger, ("root", *LIBRARIES))}
    yield
    structlog.configure(**configuration)
    logging.root.handlers = handlers
    for logger, level in levels.items():
        logger.setLevel(level)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run a real Apache Kafka for the whole session."""
    with Broker(tmp_path_factory.mktemp("kafka"), free_port()) as running:
        yield running


@pytest.fixture
async def settings(broker: Broker, tmp_path: Path) -> Settings:
    """Return settings with a topic prefix, a ClickHouse directory and ports of their own. The topics exist."""
    made = load_settings(
        kafka=broker.bootstrap,
        topic_prefix=f"t{uuid4().hex[:8]}.",
        partitions=2,
        clickhouse=f"chdb://{tmp_path}/clickhouse",
        sql_address=f"127.0.0.1:{free_port()}",
    )
    await create_topics(made)
    return made
