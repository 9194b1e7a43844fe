"""A short soak: `make soak` runs long ones."""

from pathlib import Path

import pytest

from tests.e2e.soak import soak


@pytest.mark.long
@pytest.mark.e2e
async def test_short_soak(tmp_path: Path) -> None:
    """Trades are stored or within reported gaps, all gaps close, and no password is shown."""
    report = await soak(1, 120.0, tmp_path)
    assert report.problems == []
    assert report.trades["stored"]
    assert report.host_changes
