"""Configure logging, the same for every process: structlog through the standard library, text or JSON, to stderr.

What the libraries log of a broker outage becomes one line when it goes away and one when it is back
(`schemas/logs/broker_watch.py`). Nothing in a line is a Python representation (`schemas/logs/plain.py`).
"""

import logging
import sys

import structlog

from schemas.logs.broker_watch import BrokerWatch
from schemas.logs.libraries import LIBRARIES, LibraryFilter, from_library
from schemas.logs.plain import error_text, joined, partition_names, plain_values
from schemas.settings import Settings

__all__ = ["configure_logs", "error_text", "partition_names", "suspect_broker"]

_watches: list[BrokerWatch] = []  # none, or that of this process


_EVERY_LINE: list[structlog.types.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso"),
    plain_values,
]
_OURS: list[structlog.types.Processor] = [
    structlog.stdlib.filter_by_level,
    *_EVERY_LINE,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


class _Handler(logging.Handler):
    """Handler that writes to whatever stderr is at the moment.

    Its class tells it from those of others, so that configuring the logs again replaces it alone.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - as in every handler: what cannot be logged must not end the caller
            self.handleError(record)


def configure_logs(settings: Settings) -> None:
    """Set up logging of this process, for this broker. It may be called again with other settings."""
    # Loggers are not cached: what a module has already logged with must follow a later configuration, too.
    structlog.configure(
        processors=_OURS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    everything = settings.log_level == "DEBUG"
    for watch in _watches:
        watch.retire()
    _watches[:] = [BrokerWatch(settings.kafka)]
    handler = _Handler()
    handler.addFilter(LibraryFilter(suspect_broker, everything))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_EVERY_LINE if everything else [from_library, *_EVERY_LINE],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *_renderers(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, _Handler)), handler]
    root.setLevel(settings.log_level)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET if everything else max(logging.WARNING, root.level))


def suspect_broker(sign: str) -> None:
    """Note a sign that the broker may be away. Whether it is, and when it is back, is found out and logged once."""
    for watch in _watches:
        watch.suspect(sign)


def _renderers(settings: Settings) -> list[structlog.types.Processor]:
    if settings.log_json:
        return [structlog.processors.JSONRenderer()]
    return [joined, structlog.dev.ConsoleRenderer(colors=False)]
