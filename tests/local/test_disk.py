"""Free space: noticed before it is gone, reported once at each change."""

import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marketprism.local.disk import DiskWatch, free_bytes
from marketprism.local.processes import Child, Status, says

MB = 1_000_000


def test_each_change_is_reported_once(tmp_path: Path) -> None:
    """Low, full, low again, enough: four lines, however often it is looked at; a little more room is no change."""
    watch = DiskWatch(tmp_path, 1000)
    with capture_logs() as logs:
        for free in (5000, 1001, 999, 1050, 600, 99, 101, 50, 200, 900, 1090, 1101, 1001):
            for _ in range(3):
                watch.look(free * MB)
    said = [(entry["log_level"], entry["free_mb"]) for entry in logs]
    assert said == [("warning", 999), ("error", 99), ("warning", 200), ("warning", 1101)]
    assert watch.state == "ok"


def test_a_full_disk_that_a_child_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when space seems to be left (a quota, another disk); some time after the last report it is over."""
    code = "print('Code: 243. DB::Exception: NOT_ENOUGH_SPACE', flush=True); import time; time.sleep(60)"
    with Child("sink", [sys.executable, "-c", code], tmp_path / "log", says("NOT_ENOUGH")) as child:
        watch = DiskWatch(tmp_path, 0, [Status(child)])
        watch.look(10**12)
        assert str(watch.state) == "full"
        monkeypatch.setattr("marketprism.local.disk._REPORTED", 0.0)
        watch.look(10**12)
        assert watch.state == "ok"


def test_free_space_of_what_is_not_made_yet(tmp_path: Path) -> None:
    """A directory that does not exist stands for the disk on which it would be made."""
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free_bytes(tmp_path), rel=0.2)
