"""The Faust app: `faust -A streams.app worker`.

Two agents: `books` turns raw records into events; `arbitrage` joins the quotes of all exchanges by symbol.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import structlog

from schemas.errors import MarketPrismError, StackError
from schemas.feeds import EXCHANGES
from schemas.keys import EVERY, partition_of
from schemas.limits import MAX_BATCH, MAX_JOIN_RECORD, MAX_MESSAGE, MAX_REQUEST
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings
from schemas.topics import CONTROL, JOIN, SIGNALS, WORKER_GROUP, raw_topic
from streams.arbitrage.join import JoinProcessor
from streams.arbitrage.lines import in_records
from streams.checkpoint import Checkpointed
from streams.faust_overrides import StreamsApp
from streams.output import Output, Record
from streams.publisher import Publishers
from streams.raw_processor import RawProcessor

log = structlog.get_logger(__name__)

_BYTES = faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


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
        # Faust makes this folder for stores on disk, web caches and the like; nothing of ours lives in it.
        datadir=Path(tempfile.gettempdir()) / f"{name}-faust",
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=10_000,  # topics and partitions that are added are found within this time
        broker_commit_interval=1.0,
        # The least that a broker allows by default: a dead worker's partitions move after it.
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        # Faust would wait, at a rebalance and at the end, until all records that it read are acknowledged; those that
        # it has just dropped from its buffers never are. What has to be safe is checkpointed on revocation instead.
        stream_wait_empty=False,
        stream_buffer_maxsize=1000,  # records, of many frames each
        producer_acks=-1,
        producer_compression_type="zstd",
        producer_max_batch_size=MAX_BATCH,
        producer_max_request_size=MAX_REQUEST,
        autodiscover=False,
    )


settings = _settings()
app = _faust_app(settings)
app.settings = settings

# Books are millions of small objects, none of them part of a cycle: looking through 1,000 books for cycles took 0.3 s
# each time, in which nothing else happened, and a fifth of a worker's time.
gc.freeze()
gc.set_threshold(20_000, 20, 100)


raw_topics = {settings.topic(raw_topic(exchange)): exchange for exchange in EXCHANGES}
raw_channel = app.topic(*raw_topics, schema=_BYTES)
join_channel = app.topic(settings.topic(JOIN), schema=_BYTES)

_SILENT_AFTER = 2.5  # s without a record, of which ingest sends one each second
_STOP = 5.0  # s that the last checkpoint may take

_COMPACTED = {"segment.bytes": str(32 << 20), "segment.ms": "600000", "min.cleanable.dirty.ratio": "0.2",
              "max.message.bytes": str(MAX_MESSAGE)}  # fmt: skip


def _checkpoint_table(name: str) -> Any:
    # Bytes on both sides: of any other type a table makes JSON, whatever its schema says (`_serializer_from_type`).
    partitions = settings.partitions
    return app.Table(name, key_type=bytes, value_type=bytes, partitions=partitions, extra_topic_configs=_COMPACTED)


books_table = _checkpoint_table("books")
join_table = _checkpoint_table("join")

_publishers: Publishers | None = None


def publishers() -> Publishers:
    """The publishers of this worker; made at first use, inside the running loop."""
    global _publishers
    if _publishers is None:
        urgent = {settings.topic(topic) for topic in (JOIN, SIGNALS, CONTROL)}
        _publishers = Publishers(lambda: app.producer._ensure_producer(), _crash, urgent)
    return _publishers


def _crash(error: BaseException) -> None:
    """Stop the worker, so that what was not published and checkpointed is read again.

    Faust would restart a crashed agent and go on with the next record.
    """
    log.error("the worker goes down", error=repr(error))
    app.loop.create_task(app.crash(error))


def _raw_owner(key: str) -> tuple[str, int]:
    exchange, symbol, *own = key.split(":", 2)
    partition = int(own[0]) if symbol == EVERY else partition_of(key, settings.partitions)
    return settings.topic(raw_topic(exchange)), partition


def _join_owner(key: str) -> tuple[str, int]:
    every, _, own = key.partition(":")
    partition = int(own) if every == EVERY else partition_of(key, settings.partitions)
    return settings.topic(JOIN), partition


books_state = Checkpointed(
    app, books_table, publishers, lambda tp: RawProcessor(raw_topics[tp.topic], tp.partition, settings), _raw_owner,
    settings,
)  # fmt: skip
join_state = Checkpointed(
    app, join_table, publishers, lambda tp: JoinProcessor(tp.partition, settings), _join_owner, settings
)


def _publish(out: Output, partition: int) -> None:
    put = publishers().put
    for topic, key, value in out.records:
        put(settings.topic(topic), 0 if topic == CONTROL else partition, key, value)
    for join_partition, lines in out.joins.items():
        for record in in_records(lines, MAX_JOIN_RECORD):
            put(settings.topic(JOIN), join_partition, None, record)


def _publish_signals(records: Iterable[Record], partition: int) -> None:
    for topic, key, value in records:
        publishers().put(settings.topic(topic), partition, key, value)


_read_at: dict[Any, float] = {}  # monotonic, by raw partition: its last record


@app.agent(raw_channel)
async def books(stream: Any) -> None:
    """Raw records to market events and to quotes for the join."""
    async for event in _events(stream):
        message = event.message
        async with _failing_safely(books_state, message):
            state = await books_state.state(message.tp)
            _read_at[message.tp] = time.monotonic()
            if books_state.failures.is_poison(message.tp, message.offset):
                out = state.skip(message.offset, event.value, books_state.failures.reason(message.tp))
            else:
                out = state.process(message.offset, event.value)
        _publish(out, message.partition)
        books_state.processed(event)
        await publishers().room()


@app.agent(join_channel)
async def arbitrage(stream: Any) -> None:
    """Quotes of one symbol over all exchanges to signals."""
    async for event in _events(stream):
        message = event.message
        async with _failing_safely(join_state, message):
            state = await join_state.state(message.tp)
            if join_state.failures.is_poison(message.tp, message.offset):
                records = state.skip(message.offset, event.value, join_state.failures.reason(message.tp))
            else:
                records = state.process(message.offset, event.value)
        _publish_signals(records, message.partition)
        join_state.processed(event)


@asynccontextmanager
async def _failing_safely(checkpointed: Checkpointed[Any], message: Any) -> AsyncIterator[None]:
    """Count a failure at this record, then take the worker down: going on without it would be a silent loss."""
    try:
        yield
    except Exception as error:
        books_state.halt()
        join_state.halt()
        await checkpointed.failures.count(message.tp, message.offset, error)
        _crash(error)
        raise


def _events(stream: Any) -> AsyncIterator[Any]:
    events: AsyncIterator[Any] = stream.noack().events()
    return events


@app.timer(interval=1.0)
async def witness() -> None:
    """Put a tick into raw partitions that ingest has fallen silent in: its death must not stop stream time."""
    now = time.monotonic()
    try:
        publishers().check_progress(now)
    except StackError as error:
        _crash(error)
    for tp, state in books_state.states.items():
        silence = now - _read_at.get(tp, now)
        if silence >= _SILENT_AFTER and (line := state.witness(silence)):
            publishers().put(tp.topic, tp.partition, None, line)


@app.timer(interval=settings.checkpoint_s)
async def checkpoint() -> None:
    await books_state.checkpoint_in_turn()
    await join_state.checkpoint_in_turn()


@app.on_partitions_revoked.connect
async def _on_revoked(sender: Any, revoked: set[Any], **_: Any) -> None:
    await books_state.on_revoked(revoked)
    await join_state.on_revoked(revoked)


@app.on_before_shutdown.connect
async def _on_shutdown(sender: Any, **_: Any) -> None:
    try:
        async with asyncio.timeout(_STOP):
            await books_state.checkpoint()
            await join_state.checkpoint()
    except TimeoutError:
        log.warning("no last checkpoint: the broker does not answer; what it would have covered is read again")
