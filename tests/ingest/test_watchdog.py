"""What is due for a silent stream."""

from ingest.exchanges.base import Route
from ingest.subscription import Subscription, discard
from ingest.watchdog import Watchdog

SECOND = 10**9
LIMIT = 10.0
ROUTE = Route("data", "BTCUSDT", "books")


def stream(acknowledged_at: int = 0, last_message_at: int = 0) -> Subscription:
    made = Subscription("binance:BTC-USDT", ROUTE, discard)
    made.acknowledged_at, made.last_message_at = acknowledged_at * SECOND, last_message_at * SECOND
    return made


def test_steps() -> None:
    """After one limit it is subscribed anew, after another one reconnected, and then ever less often."""
    watch, silent = Watchdog({"books": LIMIT}), stream(acknowledged_at=100, last_message_at=105)
    told = [(now, due) for now in range(100, 300) if (due := watch.look(silent, now * SECOND))]
    assert [(now, due.step) for now, due in told] == [
        (115, "resubscribe"),
        (125, "reconnect"),
        (145, "resubscribe"),
        (185, "reconnect"),
        (265, "resubscribe"),
    ]
    assert [due.age // SECOND for _, due in told] == [10, 20, 40, 80, 160]


def test_a_new_connection_starts_no_new_count() -> None:
    """The next step counts from the acknowledgement of what was done before."""
    watch = Watchdog({"books": LIMIT})
    assert watch.look(stream(acknowledged_at=100), 110 * SECOND)
    anew = stream(acknowledged_at=112)
    assert watch.look(anew, 121 * SECOND) is None
    due = watch.look(anew, 122 * SECOND)
    assert due is not None
    assert due.step == "reconnect"


def test_resumed() -> None:
    """Once it is heard again, that is told once, with how long it had been silent; the steps then start over."""
    watch, silent = Watchdog({"books": LIMIT}), stream(acknowledged_at=100)
    assert watch.look(silent, 111 * SECOND)
    assert watch.resumed(silent) == 0
    silent.last_message_at = 113 * SECOND
    assert watch.resumed(silent) == 13 * SECOND
    assert watch.resumed(silent) == 0
    due = watch.look(silent, 123 * SECOND)
    assert due is not None
    assert due.step == "resubscribe"


def test_not_subscribed() -> None:
    """What was not acknowledged is not silent: it is refused, and told so."""
    assert Watchdog({"books": LIMIT}).look(stream(), 10**6 * SECOND) is None


def test_our_clock_is_set() -> None:
    """Ages are what they were: a clock set forward makes nothing silent, one set back hides nothing."""
    watch = Watchdog({"books": LIMIT})
    assert watch.look(stream(acknowledged_at=100), 111 * SECOND)
    watch.shift(120 * SECOND)
    anew = stream(acknowledged_at=220)
    assert watch.look(anew, 235 * SECOND) is None
    assert watch.look(anew, 241 * SECOND)
    watch.shift(-120 * SECOND)
    resumed = stream(acknowledged_at=100)
    resumed.last_message_at = 122 * SECOND
    assert watch.resumed(resumed) == 22 * SECOND
