"""Logging that is configured in one test must not reach into the next."""

import structlog
from structlog.testing import capture_logs

from schemas.logs import configure_logs
from schemas.settings import load_settings

log = structlog.get_logger(__name__)


def test_a_used_logger_follows_a_later_configuration() -> None:
    """A module's logger lives as long as the process: once used, it must still log as configured afterwards."""
    configure_logs(load_settings(kafka="127.0.0.1:1"))
    log.warning("before")
    structlog.reset_defaults()
    with capture_logs() as logs:
        log.warning("after")
    assert [line["event"] for line in logs] == ["after"]
