"""Channels, the patterns that select them, and what a slow client is told of what it misses."""

import pytest

from marketprism.api.channels import Channels, Latest, Log, Piece, Recent
from marketprism.api.market import Market
from marketprism.api.patterns import Match, Matches, Pattern
from marketprism.api.spans import now_us
from tests.api.market_data import apply, fill, quote

HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("pattern", "name", "takes"),
    [
        ("quotes:BTC-USDT:okx", "quotes:BTC-USDT:okx", True),
        ("quotes:BTC-USDT:okx", "quotes:BTC-USDT:htx", False),
        ("quotes:BTC-*", "quotes:BTC-USDT:htx", True),
        ("quotes:*:htx", "trades:BTC-USDT:htx", False),
        ("quote?:*", "quotes:BTC-USDT:htx", True),
        ("*:*:okx", "candles:BTC-USDT:okx:1m", True),
        ("candles:*:*:1m", "candles:BTC-USDT:okx:1h", False),
        ("signals:*:*", "signals:BTC-USDT", True),
        ("signals:BTC-USDT:okx", "signals:BTC-USDT", False),
    ],
)
def test_patterns(pattern: str, name: str, takes: bool) -> None:
    """A pattern is compared part by part; those that it lacks, and * where the name has none, match."""
    assert Pattern.parse(pattern).takes(Latest(name)) is takes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a pattern"),
        ("quotes::okx", "is not a pattern"),
        ("a:b:c:d:e", "is not a pattern"),
        ("quotes:" + "A" * 300, "is not a pattern"),
        ("Quotes:*", "did you mean quotes?"),
        ("klines:*", "known are books, candles"),
    ],
)
def test_unusable_patterns(text: str, reason: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(ValueError, match=reason.replace("?", r"\?")):
        Pattern.parse(text)


def test_matches_are_shared_and_follow_the_channels() -> None:
    """A pattern is compared once with all channels, and then with new ones; unused ones are forgotten."""
    channels = Channels()
    matches = Matches(channels)
    channels.add(Latest("quotes:A:okx"))
    match: Match | None = matches.of("quotes:*")
    assert match is matches.of("quotes:*")
    assert match is not None
    later = Latest("quotes:B:okx")
    channels.add(later)
    assert matches.add(later) == {match}
    assert {each.name for each in match.channels} == {"quotes:A:okx", "quotes:B:okx"}
    channels.remove(later)
    matches.remove(later)
    assert {each.name for each in match.channels} == {"quotes:A:okx"}
    match = None
    assert matches.add(later) == set()


def items(first: int, last: int) -> Piece:
    """Return a frame's trades of these numbers."""
    log = Log("trades:A:okx", Recent(10))
    for number in range(first, last + 1):
        log.append(b"%03d" % number)
    return log.take()._replace(sequence=last)


def test_what_waits_is_bounded_and_what_is_dropped_is_counted() -> None:
    """Each item that a slow client does not get is in `skipped`, once."""
    waiting = items(1, 10)
    waiting = waiting.followed_by(items(11, 12), 100)
    assert (waiting.items, waiting.skipped) == (12, 0)
    waiting = waiting.followed_by(items(13, 30), 100)
    assert (waiting.items, waiting.skipped, waiting.body[:3]) == (18, 12, b"013")
    waiting = waiting.followed_by(items(31, 30)._replace(skipped=4), 100)
    waiting = waiting.followed_by(items(31, 50), 100)
    assert (waiting.sequence, waiting.items, waiting.skipped) == (50, 20, 12 + 18 + 4)


def test_items_beyond_a_frame_are_skipped() -> None:
    """Of more items than a frame may have, the oldest are counted only."""
    piece = items(1, 1200)
    assert (piece.items, piece.skipped, piece.body[:3]) == (1000, 200, b"201")


def test_open_items_are_bounded() -> None:
    """Items whose end never comes do not grow without end."""
    recent = Recent(2)
    for number in range(5000):
        recent.put(str(number), b"open", is_open=True)
    assert len(recent.open()) == 1000


def test_a_delisted_instrument_is_forgotten() -> None:
    """An hour after its last event, nothing of it is left; the same symbol elsewhere stays."""
    market, old = Market(), now_us() - 2 * HOUR
    gone = []
    fill(market)
    for topic in ("market.quotes", "market.trades", "market.candles", "market.books"):
        apply(
            market, topic, "okx", "ABC-USDT", local_timestamp=old, **({"type": "snapshot"} if "books" in topic else {})
        )
    apply(market, "market.quotes", "htx", "ABC-USDT")
    market.channels.on_gone = lambda channel: gone.append(channel.name)
    apply(market, "market.instruments", "okx", "ABC-USDT", type="delisted", local_timestamp=old)
    apply(market, "market.instruments", "okx", "XYZ-USDT", type="delisted", local_timestamp=old)
    market.on_second()
    assert {key for key in market.instruments if key[1] != "BTC-USDT"} == {("htx", "ABC-USDT")}
    assert {name for name in gone if "XYZ" in name} == {"instruments:XYZ-USDT:okx"}
    assert {"quotes:ABC-USDT:okx", "depth:ABC-USDT:okx", "trades:ABC-USDT:okx"} <= set(gone)
    assert [row.exchange for row in market.comparison("ABC-USDT").rows] == ["htx"]
    quote(market, "1", "2", "okx", "ABC-USDT")
    assert ("okx", "ABC-USDT") in market.instruments
    market.on_second()
