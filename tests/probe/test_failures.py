"""Failures: the exchange has changed, or cannot be reached."""

import aiohttp
import pytest

from marketprism.probe.failures import RestHealth, socket_failure
from schemas.errors import ExchangeError, RejectedError
from schemas.markers import RateLimited, RestDown, RestUp


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("cannot connect to wss://x/y: server rejected WebSocket connection: HTTP 404", True),
        ("cannot connect to wss://x/y: server rejected WebSocket connection: HTTP 410", True),
        ("cannot connect to wss://x/y: server rejected WebSocket connection: HTTP 451", False),
        ("cannot connect to wss://x/y: server rejected WebSocket connection: HTTP 503", False),
        ("cannot connect to wss://x:404/y: connection refused", False),
        ("closed: received 1001", False),
    ],
)
def test_sockets(reason: str, changed: bool) -> None:
    """A path that is gone is a change; a host that is away, busy, or does not serve us is none."""
    assert socket_failure(reason) == (reason, changed)


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (RejectedError("okx: /path {} returned 404: not found"), True),
        (RejectedError("okx: /path {} returned 400: bad request"), True),
        (RejectedError("okx: /path {} returned 403: forbidden"), False),
        (ExchangeError("okx: cannot parse the listing: KeyError: 'data'"), True),
    ],
)
def test_rest(error: ExchangeError, changed: bool) -> None:
    """What the exchange rejects or answers in another form is a change."""
    assert RestHealth().failure_of(error) == (str(error), changed)


def test_unreachable() -> None:
    """A failure to connect is no change, nor is anything while the host is down or asks to be left alone."""
    health, error = RestHealth(), ExchangeError("okx: cannot read https://x/y: refused")
    assert health.timeout(30.0) == ("no answer within 30 s", False)
    error.__cause__ = aiohttp.ClientConnectionError("refused")
    assert health.failure_of(error) == (str(error), False)
    down = ExchangeError("https://x is down: no request is sent for now")
    health.mark(RestDown(reason="refused"))
    assert health.failure_of(down) == ("refused", False)
    assert health.failure_of(RejectedError("okx: /path {} returned 404: gone")).changed
    health.mark(RestUp(reason="it answers again"))
    assert health.failure_of(ExchangeError("okx: cannot parse the listing")).changed
    health.mark(RateLimited(status=429, seconds=10, where="rest"))
    assert health.failure_of(down) == ("rate limited for 10 s: HTTP 429", False)
    assert health.timeout(30.0) == ("rate limited for 10 s: HTTP 429", False)
