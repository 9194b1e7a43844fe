"""Requests to ingest."""

import orjson
import pytest

from ingest.control import MAX_AGE, ReconnectRequest, SnapshotRequest, parse_request

NOW = 1_790_000_000_000_000


def request(**changes: object) -> bytes:
    body = {"request": "snapshot", "exchange": "okx", "symbol": "BTC-USDT", "reason": "sequence", "timestamp": NOW}
    return orjson.dumps(body | changes)


def test_recent() -> None:
    """A recent request is obeyed, with the time of its cause."""
    assert parse_request(request(), NOW - 1, NOW) == SnapshotRequest("okx:BTC-USDT", NOW)


def test_reconnect() -> None:
    """The operator's request names feeds."""
    body = orjson.dumps({"request": "reconnect", "feeds": ["okx", "deribit"], "timestamp": NOW})
    assert parse_request(body, NOW - 1, NOW) == ReconnectRequest(("okx", "deribit"))


@pytest.mark.parametrize("timestamp", [NOW - MAX_AGE - 1, NOW - 60_000_001])
def test_old(timestamp: int) -> None:
    """A replay's requests, and those from before our start, are not obeyed."""
    assert parse_request(request(timestamp=timestamp), NOW - 60_000_000, NOW) is None
    assert parse_request(request(), NOW + 1, NOW + 1) is None


@pytest.mark.parametrize(
    "value", [None, b"", b"[]", b"{}", request(request="dance"), request(timestamp="soon"), request(timestamp=1e300)]
)
def test_rubbish(value: bytes | None) -> None:
    """What is no request is told and passed over."""
    assert parse_request(value, 0, NOW) is None
