"""Requests matched with their pending."""

from ingest.exchanges.base import Request, Route
from ingest.pending_requests import ACKNOWLEDGEMENT_TIMEOUT, GRACE, PendingRequests

TRADES, BOOKS, QUOTES = (Route("data", "BTCUSDT", channel) for channel in ("trades", "books", "quotes"))
REQUEST = Request("1", "", (TRADES, BOOKS, QUOTES))


def requested() -> PendingRequests:
    pending = PendingRequests()
    pending.add(REQUEST, 0.0)
    return pending


def test_whole_request() -> None:
    """Acknowledging a request acknowledges everything in it, once."""
    pending = requested()
    assert set(pending.acknowledge("1")) == {TRADES, BOOKS, QUOTES}
    assert pending.acknowledge("1") == []
    assert pending.all_answered
    assert pending.pop_rejected(ACKNOWLEDGEMENT_TIMEOUT) == []


def test_one_by_one() -> None:
    """If arguments are acknowledged one by one, the others are rejected after the timeout, once."""
    pending = requested()
    assert pending.acknowledge("1", [BOOKS]) == [BOOKS]
    assert pending.acknowledge("", [TRADES]) == [TRADES]
    assert not pending.all_answered
    assert pending.pop_rejected(ACKNOWLEDGEMENT_TIMEOUT - 1) == []
    assert QUOTES in dict(pending.pop_rejected(ACKNOWLEDGEMENT_TIMEOUT))
    assert pending.pop_rejected(ACKNOWLEDGEMENT_TIMEOUT) == []


def test_error() -> None:
    """An error rejects what is not acknowledged soon, with its reason. One about an unknown request returns False."""
    pending = requested()
    assert pending.reject("1", "60018: no such instrument", 0.0)
    pending.acknowledge("1", [TRADES, BOOKS])
    assert pending.pop_rejected(GRACE) == [(QUOTES, "60018: no such instrument")]
    assert not pending.reject("9", "unknown request", 0.0)


def test_late_acknowledgement() -> None:
    """What has timed out may still be acknowledged; what was never requested may not."""
    pending = requested()
    pending.pop_rejected(ACKNOWLEDGEMENT_TIMEOUT)
    assert pending.acknowledge("1", [BOOKS]) == [BOOKS]
    assert pending.acknowledge("1", [Route("data", "ETHUSDT", "books")]) == []


def test_subscription_list() -> None:
    """What was acknowledged but is not in the exchange's list is missing, once."""
    pending = requested()
    pending.acknowledge("1")
    assert pending.pop_missing([TRADES, BOOKS]) == [QUOTES]
    assert pending.pop_missing([TRADES, BOOKS]) == []
