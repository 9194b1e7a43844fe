"""Run a broker by itself in the foreground (`marketprism broker`)."""

import asyncio
import signal
import time
from pathlib import Path

from rich.console import Console

from marketprism.local.broker import Broker
from marketprism.local.steps import shown_on
from marketprism.ops.topics import create_topics
from schemas.errors import SettingsError, StackError
from schemas.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost")
_CHECK_EVERY = 0.5  # s


def run_broker(settings: Settings, data: Path, console: Console) -> None:
    """Run a broker at the setting `kafka` until SIGINT or SIGTERM. The missing topics are created.

    Raise `StackError` if it cannot be started or ends by itself.
    """
    host, _, port = settings.kafka.partition(":")
    if host not in _LOOPBACK or not port.isdigit():
        raise SettingsError(f"kafka is {settings.kafka}, but a broker is run only at 127.0.0.1:PORT of this machine")
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stopped.append(number))
    watch, broker = shown_on(console), Broker(data / "kafka", int(port))
    with watch("start", broker.name, broker.timeout):
        broker.start()
    try:
        created = asyncio.run(create_topics(settings))
        console.print(
            f"The broker is ready at {settings.kafka}, with its data in {broker.data}. {len(created)} topics were "
            "created. Ctrl-C stops it.",
            highlight=False,
            soft_wrap=True,
        )
        while not stopped:
            if not broker.alive():
                raise StackError(f"the broker ended (exit code {broker.exit_code}): see its log {broker.log}")
            time.sleep(_CHECK_EVERY)
    finally:
        with watch("stop", broker.name, 6.0):
            broker.stop()
