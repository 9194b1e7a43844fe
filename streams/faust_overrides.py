"""Faust's app with what Faust 0.15.3 has to be told otherwise; each class says why."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from inspect import iscoroutine
from types import coroutine
from typing import Any, ClassVar

import faust
from aiokafka import AIOKafkaConsumer
from faust.app import BootStrategy
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerT, TransportT
from mode.services import WaitResults
from mode.utils.futures import maybe_async

from schemas.errors import MarketPrismError
from schemas.settings import Settings
from streams.topic_wait import wait_for_topics

_LONGEST_FETCH = 50  # ms
_LONGEST_WAIT = 0.05  # s


class _WithoutWeb(BootStrategy):
    """No web server: Faust's listens on all addresses, and two workers on one machine would want the same port.

    The setting `web_enabled` would not do: `faust worker` turns it on again, unless told `--without-web`.
    """

    enable_web = False


class _NoThread:
    """Stands where Faust has a thread (`mode.threads.WorkerThread`): the service is a task of the worker's own loop."""

    def __init__(self, service: "_ConsumerInLoop") -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._service._serve(), name="consumer")

    def stop(self) -> None:
        """Called when the service has ended."""


class _ConsumerInLoop(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer in the worker's own loop, not in a thread with another one.

    Each time something is fetched both threads had to have the interpreter in turn, each for up to 5 ms while the other
    works: more than the rest of a record's way. A worker's single steps are short beside the session's time-out.

    It also asks the broker for new records again soon. aiokafka has one request under way to a broker. While some
    partitions' records wait to be taken for more than 0.1 s, it asks for the others only, and as there is nothing on
    idle topics, that request stays for as long as is allowed: 1.5 s in Faust, fixed. For so long the busy partitions
    got nothing.
    """

    Worker = _NoThread

    def __init__(self, consumer: "_Consumer", **kwargs: Any) -> None:
        super().__init__(consumer, thread_loop=consumer.loop, **kwargs)

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await maybe_async(fun(*args, **kwargs))

    async def _gather_remaining_tasks(self) -> None:
        """Those of the loop are not its own."""

    def _create_worker_consumer(self, transport: TransportT) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _LONGEST_FETCH
        return consumer


class _Consumer(driver.Consumer):
    """Nothing is read while partitions are sought to what was committed.

    When tables are restored, Faust resumes the source partitions and only then seeks
    (`Recovery.on_recovery_completed`), while its fetcher goes on. What is read in between comes again after the seek,
    or is taken for a gap: `_add_gap` then acknowledges those offsets a second time, and as `_new_offset` commits up to
    the first acknowledged offset that does not follow the one before it, each commit goes on by one offset only. A
    worker with a backlog looked stuck that way for half an hour.
    """

    async def wait_first(self, *awaited: Any, timeout: Any = None) -> WaitResults:
        """Without a task where none is needed.

        Faust hands over every record by this, beside a second coroutine, as four tasks of which three are cancelled: at
        80 µs most of what a record costs. As long as the stream has room, handing over never has to wait.
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
        """Without a task where it only lets others go first, which it does before each look for records."""
        await (super().sleep(n, **kwargs) if n else asyncio.sleep(0))

    def _new_consumer_thread(self) -> _ConsumerInLoop:
        return _ConsumerInLoop(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """For a short time: it waits for these partitions, also when one whose stream was full is active again."""
        return await super()._getmany(active_partitions, min(timeout, _LONGEST_WAIT))

    async def perform_seek(self) -> None:
        self.stop_flow()  # whoever calls this resumes it afterwards
        await super().perform_seek()


@coroutine
def _steps(begun: Coroutine[Any, Any, Any], future: Any) -> Generator[Any, Any, Any]:
    try:
        while True:
            try:
                value = yield future
            except BaseException as error:  # noqa: BLE001 - cancellation too: it is the coroutine's to handle
                future = begun.throw(error)
            else:
                future = begun.send(value)
    except StopIteration as end:
        return end.value


async def _resumed(begun: Coroutine[Any, Any, Any], future: Any) -> Any:
    """Go on with a coroutine that waits for `future`."""
    return await _steps(begun, future)


class _Transport(driver.Transport):
    Consumer: ClassVar[type[ConsumerT]] = _Consumer


class StreamsApp(faust.App):
    """`settings`, once set, say which topics to wait for before anything is consumed.

    A group whose topics are missing when it starts would stay idle until the consumer's next look at the metadata,
    five minutes later; without a broker the start would end in a traceback.
    """

    BootStrategy = _WithoutWeb
    settings: Settings | None = None

    async def on_first_start(self) -> None:
        await super().on_first_start()
        if self.settings is not None:
            try:
                await self.wait(wait_for_topics(self.settings))  # ends early when the worker is stopped
            except MarketPrismError as error:
                raise SystemExit(str(error)) from None

    def _new_transport(self) -> TransportT:
        return _Transport(self.conf.broker_consumer, self)
