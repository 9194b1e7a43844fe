"""Requests are counted in windows, as Binance does."""

from marketprism.simulator.exchanges.binance.windows import RequestWindow


def test_a_window_is_full() -> None:
    """Beyond the limit, the wait lasts until the window ends."""
    window = RequestWindow(3, 10**9)
    assert [window.spend(1) for _ in range(3)] == [0, 0, 0]
    assert 0 < window.spend(1) <= 10**9
    assert window.used == 4
