"""Low disk space is detected early, and each change is reported once."""

import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marketprism.local.disk import DiskMonitor, free_bytes
from marketprism.local.processes import Child, ChildStatus, says

MB = 1_000_000


def test_each_change_is_reported_once(tmp_path: Path) -> None:
    """Low, full, low, ok: four log lines, however often it is checked. Small fluctuations change nothing."""
    disk = DiskMonitor(tmp_path, 1000)
    with capture_logs() as logs:
        for free in (5000, 1001, 999, 1050, 600, 99, 101, 50, 200, 900, 1090, 1101, 1001):
            for _ in range(3):
                disk.update(free * MB)
    logged = [(entry["log_level"], entry["free_mb"]) for entry in logs]
    assert logged == [("warning", 999), ("error", 99), ("warning", 200), ("warning", 1101)]
    assert disk.state == "ok"


def test_a_full_disk_reported_by_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child's report counts even if space seems to be left (a quota, another disk), until it expires."""
    code = "print('Code: 243. DB::Exception: NOT_ENOUGH_SPACE', flush=True); import time; time.sleep(60)"
    with Child("sink", [sys.executable, "-c", code], tmp_path / "log", says("NOT_ENOUGH")) as child:
        disk = DiskMonitor(tmp_path, 0, [ChildStatus(child)])
        disk.update(10**12)
        assert str(disk.state) == "full"
        monkeypatch.setattr("marketprism.local.disk._REPORT_VALID_S", 0.0)
        disk.update(10**12)
        assert disk.state == "ok"


def test_free_space_for_a_missing_directory(tmp_path: Path) -> None:
    """For a missing directory, the free space is that of the disk on which it would be created."""
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free_bytes(tmp_path), rel=0.2)
