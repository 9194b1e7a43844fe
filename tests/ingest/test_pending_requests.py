"""Asked against acknowledged."""

from ingest.exchanges.base import Request, Route
from ingest.pending_requests import GRACE, PATIENCE, PendingRequests

TRADES, BOOKS, QUOTES = (Route("data", "BTCUSDT", channel) for channel in ("trades", "books", "quotes"))
REQUEST = Request("1", "", (TRADES, BOOKS, QUOTES))


def asked() -> PendingRequests:
    made = PendingRequests()
    made.ask(REQUEST, 0.0)
    return made


def test_whole_request() -> None:
    """An acknowledgement of a request is one of everything in it, once."""
    acknowledgements = asked()
    assert set(acknowledgements.acknowledge("1")) == {TRADES, BOOKS, QUOTES}
    assert acknowledgements.acknowledge("1") == []
    assert acknowledgements.settled
    assert acknowledgements.overdue(PATIENCE) == []


def test_one_by_one() -> None:
    """Where each argument is acknowledged, those that are not are refused in the end, once."""
    acknowledgements = asked()
    assert acknowledgements.acknowledge("1", [BOOKS]) == [BOOKS]
    assert acknowledgements.acknowledge("", [TRADES]) == [TRADES]
    assert not acknowledgements.settled
    assert acknowledgements.overdue(PATIENCE - 1) == []
    assert QUOTES in dict(acknowledgements.overdue(PATIENCE))
    assert acknowledgements.overdue(PATIENCE) == []


def test_error() -> None:
    """An error refuses what its request does not acknowledge soon, with its reason; one without a request is told."""
    acknowledgements = asked()
    assert acknowledgements.refuse("1", "60018: no such instrument", 0.0)
    acknowledgements.acknowledge("1", [TRADES, BOOKS])
    assert acknowledgements.overdue(GRACE) == [(QUOTES, "60018: no such instrument")]
    assert not acknowledgements.refuse("9", "of nothing", 0.0)


def test_late_acknowledgement() -> None:
    """What was given up may still be acknowledged; what was never asked for may not."""
    acknowledgements = asked()
    acknowledgements.overdue(PATIENCE)
    assert acknowledgements.acknowledge("1", [BOOKS]) == [BOOKS]
    assert acknowledgements.acknowledge("1", [Route("data", "ETHUSDT", "books")]) == []


def test_listing() -> None:
    """What was acknowledged and is not listed is missing, once."""
    acknowledgements = asked()
    acknowledgements.acknowledge("1")
    assert acknowledgements.missing([TRADES, BOOKS]) == [QUOTES]
    assert acknowledgements.missing([TRADES, BOOKS]) == []
