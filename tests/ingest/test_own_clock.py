"""Our own clock against those of the exchanges."""

from structlog.testing import capture_logs

from ingest.own_clock import OwnClock

OFF = 120_000_000  # µs


def test_told_once_when_they_agree() -> None:
    """Two exchanges agree that we are behind: one error; it is put right: one line more."""
    with capture_logs() as logs:
        clock = OwnClock(5000)
        for now in range(0, 300, 60):
            clock.compared("okx", OFF, now)
            clock.compared("deribit", OFF + 3000, now)
        for now in range(300, 600, 60):
            clock.compared("okx", 200, now)
            clock.compared("deribit", -300, now)
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("error", "our clock is off by 120.0 s"),
        ("info", "our clock is right again"),
    ]
    assert logs[0]["direction"] == "behind"
    assert logs[0]["remedy"]


def test_an_exchange_alone() -> None:
    """One exchange, one against others, or two in opposite directions say nothing about us."""
    with capture_logs() as logs:
        for offsets in ((OFF,), (OFF, 0), (OFF, -OFF), (OFF, OFF, 4_000_000)):
            clock = OwnClock(5000)
            for feed, offset in enumerate(offsets):
                clock.compared(str(feed), offset, 0)
            assert not clock.wrong or len(offsets) == 3
    assert len(logs) <= 2


def test_old_words_do_not_count() -> None:
    """What was heard long ago neither accuses nor acquits."""
    clock = OwnClock(5000)
    clock.compared("okx", 0, 0)
    clock.compared("deribit", -OFF, 1000)
    assert not clock.wrong
    clock.compared("htx-spot", -OFF, 1001)
    assert clock.wrong
    clock.compared("htx-spot", 0, 2000)
    assert clock.wrong
