"""Faust's app with what Faust 0.15.3 has to be told otherwise; each class says why."""

from typing import ClassVar

import faust
from faust.app import BootStrategy
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerT, TransportT


class _WithoutWeb(BootStrategy):
    """No web server: Faust's listens on all addresses, and two workers on one machine would want the same port.

    The setting `web_enabled` would not do: `faust worker` turns it on again, unless told `--without-web`.
    """

    enable_web = False


class _Consumer(driver.Consumer):
    """Nothing is read while partitions are sought to what was committed.

    When tables are restored, Faust resumes the source partitions and only then seeks
    (`Recovery.on_recovery_completed`), while its fetcher goes on. What is read in between comes again after the seek,
    or is taken for a gap: `_add_gap` then acknowledges those offsets a second time, and as `_new_offset` commits up to
    the first acknowledged offset that does not follow the one before it, each commit goes on by one offset only. A
    worker with a backlog looked stuck that way for half an hour.
    """

    async def perform_seek(self) -> None:
        self.stop_flow()  # whoever calls this resumes it afterwards
        await super().perform_seek()


class _Transport(driver.Transport):
    Consumer: ClassVar[type[ConsumerT]] = _Consumer


class StreamsApp(faust.App):
    BootStrategy = _WithoutWeb

    def _new_transport(self) -> TransportT:
        return _Transport(self.conf.broker_consumer, self)
