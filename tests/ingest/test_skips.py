"""Reports of skipped entries."""

from structlog.testing import capture_logs

from ingest.skips import MAX_REPORTS, Skips


def test_reports_are_bounded() -> None:
    """After the maximum number of different reports, one last line says that there will be no more."""
    skips = Skips("okx", "okx")
    with capture_logs() as logs:
        for number in range(MAX_REPORTS + 50):
            skips.report(f"X{number}", "malformed")
    assert len(logs) == MAX_REPORTS + 1
    assert "no more" in logs[-1]["event"]
