"""Recovery steps for silent subscriptions."""

from ingest.exchanges.base import Route
from ingest.subscription import Subscription, discard
from ingest.watchdog import Watchdog

SECOND = 10**9
LIMIT = 10.0
ROUTE = Route("data", "BTCUSDT", "books")


def subscription(acknowledged_at: int = 0, last_message_at: int = 0) -> Subscription:
    made = Subscription(ROUTE, discard)
    made.acknowledged_at, made.last_message_at = acknowledged_at * SECOND, last_message_at * SECOND
    return made


def test_steps() -> None:
    """After one limit it is resubscribed, after another one reconnected; then the waits double."""
    watchdog, silent = Watchdog({"books": LIMIT}), subscription(acknowledged_at=100, last_message_at=105)
    steps = [(now, due) for now in range(100, 300) if (due := watchdog.check(silent, now * SECOND))]
    assert [(now, due.step) for now, due in steps] == [
        (115, "resubscribe"),
        (125, "reconnect"),
        (145, "resubscribe"),
        (185, "reconnect"),
        (265, "resubscribe"),
    ]
    assert [due.age // SECOND for _, due in steps] == [10, 20, 40, 80, 160]


def test_steps_continue_over_a_reconnect() -> None:
    """The next step is due one limit after the acknowledgement on the new connection."""
    watchdog = Watchdog({"books": LIMIT})
    assert watchdog.check(subscription(acknowledged_at=100), 110 * SECOND)
    again = subscription(acknowledged_at=112)
    assert watchdog.check(again, 121 * SECOND) is None
    due = watchdog.check(again, 122 * SECOND)
    assert due is not None
    assert due.step == "reconnect"


def test_resumed() -> None:
    """The end of a silence is returned once, with its duration. The steps then start over."""
    watchdog, silent = Watchdog({"books": LIMIT}), subscription(acknowledged_at=100)
    assert watchdog.check(silent, 111 * SECOND)
    assert watchdog.resumed_after(silent) == 0
    silent.last_message_at = 113 * SECOND
    assert watchdog.resumed_after(silent) == 13 * SECOND
    assert watchdog.resumed_after(silent) == 0
    due = watchdog.check(silent, 123 * SECOND)
    assert due is not None
    assert due.step == "resubscribe"


def test_not_subscribed() -> None:
    """A subscription that is not acknowledged does not count as silent."""
    assert Watchdog({"books": LIMIT}).check(subscription(), 10**6 * SECOND) is None


def test_clock_step() -> None:
    """Ages stay the same when our clock is set: forward makes nothing silent, back hides nothing."""
    watchdog = Watchdog({"books": LIMIT})
    assert watchdog.check(subscription(acknowledged_at=100), 111 * SECOND)
    watchdog.shift_times(120 * SECOND)
    again = subscription(acknowledged_at=220)
    assert watchdog.check(again, 235 * SECOND) is None
    assert watchdog.check(again, 241 * SECOND)
    watchdog.shift_times(-120 * SECOND)
    resumed = subscription(acknowledged_at=100)
    resumed.last_message_at = 122 * SECOND
    assert watchdog.resumed_after(resumed) == 22 * SECOND
