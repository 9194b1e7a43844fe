"""End a process whose shutdown hangs.

Faust's does while the producer holds records that the broker does not take: it would wait for 20 minutes.
"""

import os
import sys
import threading

import structlog

log = structlog.get_logger(__name__)


def exit_within(seconds: float) -> None:
    """End this process in so many seconds, if it still runs then. What has no checkpoint by then is read again."""
    timer = threading.Timer(seconds, _exit, (seconds,))
    timer.daemon = True
    timer.start()


def _exit(seconds: float) -> None:
    log.warning("stopping took too long: exiting", seconds=seconds)
    sys.stderr.flush()
    os._exit(1)
