"""Our own clock, compared with those of the exchanges."""

from structlog.testing import capture_logs

from ingest.own_clock import OwnClock

OFF = 120_000_000  # µs


def test_reported_once() -> None:
    """Two exchanges agree that we are behind: one error. The clock is corrected: one more line."""
    with capture_logs() as logs:
        clock = OwnClock(5000)
        for now in range(0, 300, 60):
            clock.on_offset("okx", OFF, now)
            clock.on_offset("deribit", OFF + 3000, now)
        for now in range(300, 600, 60):
            clock.on_offset("okx", 200, now)
            clock.on_offset("deribit", -300, now)
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("error", "our clock is off by 120.0 s"),
        ("info", "our clock is right again"),
    ]
    assert logs[0]["direction"] == "behind"
    assert logs[0]["remedy"]


def test_disagreement() -> None:
    """One exchange alone, one against others, or two in opposite directions are no evidence against our clock."""
    with capture_logs() as logs:
        for offsets in ((OFF,), (OFF, 0), (OFF, -OFF), (OFF, OFF, 4_000_000)):
            clock = OwnClock(5000)
            for feed, offset in enumerate(offsets):
                clock.on_offset(str(feed), offset, 0)
            assert not clock.wrong or len(offsets) == 3
    assert len(logs) <= 2


def test_old_comparisons_do_not_count() -> None:
    """A comparison from long ago counts neither for nor against our clock."""
    clock = OwnClock(5000)
    clock.on_offset("okx", 0, 0)
    clock.on_offset("deribit", -OFF, 1000)
    assert not clock.wrong
    clock.on_offset("htx-spot", -OFF, 1001)
    assert clock.wrong
    clock.on_offset("htx-spot", 0, 2000)
    assert clock.wrong
