"""The Faust app: `faust -A streams.app worker`.

Two agents: `books` turns raw records into events; `join` joins the quotes of all exchanges by symbol.
"""

import gc
import tempfile
import time
from pathlib import Path
from typing import Any

import faust

from schemas.errors import MarketPrismError
from schemas.feeds import EXCHANGES
from schemas.limits import MAX_BATCH, MAX_REQUEST
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings
from schemas.topics import JOIN, WORKER_GROUP, raw_topic
from streams.arbitrage.join import JoinProcessor
from streams.checkpoint import BOOKS_TABLE, JOIN_TABLE
from streams.faust_overrides import StreamsApp, StreamsWorker
from streams.raw_processor import RawProcessor
from streams.worker import Worker

_SILENT_AFTER = 2.5  # s without a record, of which ingest sends one every second


def _settings() -> Settings:
    try:
        settings = load_settings()
        configure_logs(settings)
        return settings
    except MarketPrismError as error:
        raise SystemExit(str(error)) from None


def _faust_app(settings: Settings) -> faust.App:
    name = settings.topic(WORKER_GROUP)
    return StreamsApp(
        name,
        broker=[f"kafka://{server}" for server in settings.kafka.split(",")],
        store="memory://",
        # Faust creates this folder for stores on disk, web caches and the like. Nothing of ours is in it.
        datadir=Path(tempfile.gettempdir()) / f"{name}-faust",
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=10_000,  # added topics and partitions are found within this time
        broker_commit_interval=1.0,
        # The smallest that a broker allows by default: a dead worker's partitions move after it.
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        # At a rebalance and at the end Faust would wait until all records that it read are acknowledged. Those that it
        # has just dropped from its buffers never are. The revocation takes a checkpoint of whatever must be safe.
        stream_wait_empty=False,
        stream_buffer_maxsize=1000,  # records, of many frames each
        producer_acks=-1,
        producer_compression_type="zstd",
        producer_max_batch_size=MAX_BATCH,
        producer_max_request_size=MAX_REQUEST,
        autodiscover=False,
        Worker=StreamsWorker,
    )


settings = _settings()
app = _faust_app(settings)
app.settings = settings

# Books are millions of small objects, none of them part of a cycle. Searching 1,000 books for cycles stopped everything
# for 0.3 s each time, and took a fifth of a worker's time.
gc.freeze()
gc.set_threshold(20_000, 20, 100)

worker = Worker(app, settings)
raw_topics = {settings.topic(raw_topic(exchange)): exchange for exchange in EXCHANGES}
books = worker.agent(BOOKS_TABLE, raw_topics, lambda tp: RawProcessor(raw_topics[tp.topic], tp.partition, settings))
join = worker.agent(JOIN_TABLE, [settings.topic(JOIN)], lambda tp: JoinProcessor(tp.partition, settings))


@app.timer(interval=1.0)
async def witness() -> None:
    """Put a tick into raw partitions in which ingest has fallen silent: its death must not stop stream time."""
    worker.check_progress()
    worker.log_progress()
    now = time.monotonic()
    for tp, state in books.states.items():
        silence = now - worker.read_at.get(tp, now)
        if silence >= _SILENT_AFTER and (line := state.witness(silence)):
            worker.publishers.put(tp.topic, tp.partition, None, line)


@app.timer(interval=settings.checkpoint_s)
async def checkpoint() -> None:
    """Take the checkpoints that are due."""
    await worker.checkpoint()


@app.on_partitions_assigned.connect
async def _on_assigned(sender: Any, assigned: set[Any], **_: Any) -> None:
    worker.on_assigned(assigned)


@app.on_rebalance_complete.connect
async def _on_recovered(sender: Any, **_: Any) -> None:
    await worker.on_recovered()


@app.on_partitions_revoked.connect
async def _on_revoked(sender: Any, revoked: set[Any], **_: Any) -> None:
    await worker.on_revoked(revoked)


@app.on_before_shutdown.connect
async def _on_shutdown(sender: Any, **_: Any) -> None:
    await worker.stop()
