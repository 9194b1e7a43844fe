"""The live view, drawn to text."""

from io import StringIO

from rich.console import Console

from local.feed_watch import FeedWatch
from local.progress import Offsets
from local.stored import Stored
from local.view import Picture, line, render, summary
from schemas.raw import encode_line, encode_marker
from schemas.settings import load_settings

SIGNAL = {
    "symbol": "BTC-USDT", "type": "closed", "reason": "spread_gone", "buy_exchange": "okx", "sell_exchange": "binance",
    "net_bps": 12.5, "profit": 99.5, "lifetime": 1_500_000, "at": "2026-11-20 10:11:12.345678",
}  # fmt: skip


def picture() -> Picture:
    watch = FeedWatch(load_settings())
    symbols = ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP")
    lines = b"".join(encode_marker(1, f"okx:{symbol}", "instrument") for symbol in symbols)
    lines += encode_marker(1, "okx:BTC-USDT", "connected") + encode_line(2, "okx:BTC-USDT", b"{}")
    watch.take(lines + encode_line(3, "binance:?", b"rubbish") + encode_marker(4, "okx:*", "tick"))
    offsets = Offsets({"market.trades": 7, "dead_letters": 1}, {"marketprism-sink": 3}, {"raw.okx": 5})
    stored = Stored({"trades": 6}, {"okx": 4}, [SIGNAL], {"opened": 2, "closed": 1})
    return Picture("demo", load_settings(), watch, [], offsets, stored, {"okx": 10.0}, "")


def test_every_part_is_drawn() -> None:
    """Feeds with state, books and lag, events, signals; frames of no instrument count for their exchange."""
    console = Console(file=StringIO(), width=150)
    console.print(render(picture()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    drawn = "okx|● connected|○ not connected|4/4|BTC-USDT|okx → binance|closed (spread gone)|12.5|99.50|1.50 s|opened 2"
    for expected in drawn.split("|"):
        assert expected in text


def test_line_and_summary() -> None:
    """What stands for the view without a terminal, and at the end."""
    assert "frames 2 (10/s)" in line(picture())
    text = summary(picture(), 60)
    for expected in (
        "frames in      2",
        "opened 2  closed 1",
        "rows stored    6",
        "lag            3",
        "dead letters   1",
    ):
        assert expected in text
