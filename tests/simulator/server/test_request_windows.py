"""Requests are counted in windows, as Binance and HTX do."""

import pytest

from marketprism.simulator.server.request_windows import RequestWindow


def test_a_window_is_full() -> None:
    """Beyond the limit, the wait lasts until the window ends."""
    window = RequestWindow(3, 10**9)
    assert [window.spend(1) for _ in range(3)] == [0, 0, 0]
    assert 0 < window.spend(1) <= 10**9
    assert (window.used, window.left) == (4, 0)


def test_a_new_window_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used is forgotten once the window has ended."""
    now = 1_000
    monkeypatch.setattr("time.time", lambda: now)
    window = RequestWindow(3, 300)
    assert [window.spend(1) for _ in range(4)] == [0, 0, 0, 200]
    assert window.ends_at == 1_200
    now = 1_200
    assert (window.spend(1), window.left, window.ends_at) == (0, 2, 1_500)
