"""Configure logging, the same for every process: structlog through the standard library, text or JSON, to stderr."""

import logging

import structlog

from schemas.settings import Settings


def configure_logs(settings: Settings) -> None:
    """Set up logging of this process. A Faust worker keeps its own handlers, which print our events as text."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=settings.log_level, format="%(message)s")
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
