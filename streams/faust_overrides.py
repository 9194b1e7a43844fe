"""Faust's app with those parts of Faust 0.15.3 replaced that do not work for us. Each class says why."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Generator, Mapping
from inspect import iscoroutine
from types import coroutine
from typing import Any, ClassVar

import faust
import structlog
from aiokafka import AIOKafkaConsumer
from faust.app import BootStrategy
from faust.cli import worker as cli
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerT, TransportT
from mode.services import WaitResults
from mode.utils.futures import maybe_async

from schemas.errors import MarketPrismError
from schemas.settings import Settings
from streams.deadline import exit_within
from streams.topic_wait import wait_for_topics

log = structlog.get_logger(__name__)

_FAUST = logging.getLogger("faust.overrides")  # of our subclasses: what they log is Faust's, not ours

_LONGEST_FETCH = 50  # ms for which the broker may hold a fetch request
_STOPS_WITHIN = 9.0  # s
_LONGEST_WAIT = 0.05  # s for which the consumer waits for records


class _WithoutWeb(BootStrategy):
    """Boot without a web server: Faust's listens on all addresses, and two workers on one machine need the same port.

    The setting `web_enabled` does not help: `faust worker` turns it on again, unless it is called `--without-web`.
    """

    enable_web = False


class _NoThread:
    """Replacement for Faust's thread (`mode.threads.WorkerThread`): runs the service as a task of the worker's loop."""

    def __init__(self, service: "_ConsumerInLoop") -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._service._serve(), name="consumer")

    def stop(self) -> None:
        """Called when the service has ended."""


class _ConsumerInLoop(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer in the worker's own loop, instead of a thread with a loop of its own.

    With two threads, each fetch needs the interpreter to change hands, which takes up to 5 ms while the other thread is
    working: more than everything else that happens to a record. One loop is safe, as no step of a worker takes nearly
    as long as the session timeout.

    Fetch requests are also kept short. aiokafka sends one request at a time to a broker. While records of some
    partitions wait to be taken for more than 0.1 s, it fetches only the others. If those are idle, the broker holds the
    request for as long as is allowed, which is fixed at 1.5 s in Faust. For that time the busy partitions got nothing.
    """

    Worker = _NoThread
    logger = _FAUST

    def __init__(self, consumer: "_Consumer", **kwargs: Any) -> None:
        super().__init__(consumer, thread_loop=consumer.loop, **kwargs)

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await maybe_async(fun(*args, **kwargs))

    async def _gather_remaining_tasks(self) -> None:
        """Do nothing: the loop's tasks are not the consumer's."""

    def _create_worker_consumer(self, transport: TransportT) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _LONGEST_FETCH
        return consumer


class _Consumer(driver.Consumer):
    """Consumer that reads nothing while it seeks partitions to their committed offsets.

    When tables are restored, Faust resumes the source partitions and only then seeks
    (`Recovery.on_recovery_completed`), while its fetcher goes on. Records read in between are read again after the
    seek, or are taken for a gap. `_add_gap` then acknowledges those offsets a second time. As `_new_offset` commits up
    to the first acknowledged offset that does not follow the one before it, each commit then advances by one offset
    only. A worker with a backlog looked stuck that way for half an hour.
    """

    logger = _FAUST

    async def wait_first(self, *awaited: Any, timeout: Any = None) -> WaitResults:
        """Wait for the first of several, without creating tasks if the first one does not have to wait.

        Faust hands over every record with this method, together with a second coroutine. It creates four tasks and
        cancels three, which at 80 µs is most of what a record costs. While the stream has space, handing over a record
        never has to wait.
        """
        first, *others = awaited
        if not iscoroutine(first):
            return await super().wait_first(*awaited, timeout=timeout)
        try:
            future = first.send(None)
        except StopIteration as end:
            for other in filter(iscoroutine, others):
                other.close()
            return WaitResults([first], [end.value], False)
        return await super().wait_first(_resumed(first, future), *others, timeout=timeout)

    async def sleep(self, n: Any, **kwargs: Any) -> None:
        """Sleep, without creating a task for zero seconds: Faust yields to others that way before every fetch."""
        await (super().sleep(n, **kwargs) if n else asyncio.sleep(0))

    def _new_consumer_thread(self) -> _ConsumerInLoop:
        return _ConsumerInLoop(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """Fetch records, but wait only for a short time: a partition whose stream was full may be active again."""
        return await super()._getmany(active_partitions, min(timeout, _LONGEST_WAIT))

    @property
    def committed_offsets(self) -> Mapping[TP, int | None]:
        """The committed offset of each partition: of the next record to be read after a restart."""
        offsets: Mapping[TP, int | None] = self._committed_offset
        return offsets

    async def perform_seek(self) -> None:
        self.stop_flow()  # the caller resumes it afterwards
        await super().perform_seek()


@coroutine
def _steps(begun: Coroutine[Any, Any, Any], future: Any) -> Generator[Any, Any, Any]:
    try:
        while True:
            try:
                value = yield future
            except BaseException as error:  # noqa: BLE001 - also cancellation, which the coroutine handles
                future = begun.throw(error)
            else:
                future = begun.send(value)
    except StopIteration as end:
        return end.value


async def _resumed(begun: Coroutine[Any, Any, Any], future: Any) -> Any:
    """Continue a coroutine that is waiting for `future`."""
    return await _steps(begun, future)


class _Transport(driver.Transport):
    Consumer: ClassVar[type[ConsumerT]] = _Consumer


class StreamsWorker(faust.Worker):
    """Faust's worker with our logs.

    Faust's own replaces all handlers of the process by one that adds a second time and level to each line, prints
    Python's representations, and draws a spinner and tables.
    """

    logger = _FAUST

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.spinner = None

    def _setup_logging(self) -> None:
        """Do nothing: `schemas.logs` has."""

    def _say(self, msg: str, *_: Any, **__: Any) -> None:
        """Say nothing beside the log."""

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        if not self._signal_stop_time:  # the first signal
            log.info("stopping")
            exit_within(_STOPS_WITHIN)
        super()._schedule_shutdown(signal)

    def _shutdown_loop(self) -> None:
        super()._shutdown_loop()
        log.info("stopped")


# Faust prints its banner to stdout at any log level.
cli.worker.on_worker_created = lambda command, worker: None


class StreamsApp(faust.App):
    """Faust app that waits for the broker and the topics of `settings` before it consumes anything.

    A group whose topics are missing when it starts would stay idle until the consumer refreshes its metadata, five
    minutes later. Without a broker, the start would end in a traceback.
    """

    BootStrategy = _WithoutWeb
    logger = _FAUST
    settings: Settings | None = None

    async def on_first_start(self) -> None:
        await super().on_first_start()
        if self.settings is not None:
            try:
                await self.wait(wait_for_topics(self.settings))  # ends early if the worker is stopped
            except MarketPrismError as error:
                raise SystemExit(str(error)) from None

    async def crash(self, reason: BaseException) -> None:
        exit_within(_STOPS_WITHIN)
        await super().crash(reason)

    def _new_transport(self) -> TransportT:
        return _Transport(self.conf.broker_consumer, self)
