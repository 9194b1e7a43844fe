"""Verdicts: what is a change, what is only quiet, and what cannot be told."""

from typing import Any

import orjson
import pytest

from marketprism.probe.book_check import BookCheck
from marketprism.probe.cell import Cell, Failure, Verdict, as_dict
from marketprism.probe.shape import parse_shape
from schemas.symbols import Kind

NOW = 1000.0


def cell(channel: str = "trades", kind: Kind = "perp", feed: str = "okx", **fields: Any) -> Cell:
    """Return the cell of a subscription that was acknowledged 60 s ago."""
    times = {"asked_at": NOW - 61, "acknowledged_at": NOW - 60}
    return Cell(feed, channel, "BTC-USDT-PERP", kind, **times | fields)


def result(each: Cell) -> str:
    return each.verdict(NOW).result


def reason(each: Cell) -> str:
    return each.verdict(NOW).reason


@pytest.mark.parametrize(
    ("channel", "kind", "feed", "verdict"),
    [
        ("trades", "perp", "okx", "changed"),
        ("books", "spot", "htx-spot", "changed"),
        ("candles_1m", "perp", "okx", "changed"),
        ("liquidations", "perp", "okx", "quiet"),
        ("settlement_prices", "future", "okx", "quiet"),
        ("next_quarter_candles_1m", "perp", "binance-usdm", "quiet"),
        ("funding", "perp", "okx", "quiet"),  # once in 90 s
        ("trades", "option", "okx", "quiet"),
        ("quotes", "option", "okx", "quiet"),  # nobody may quote it for a minute
        ("trades", "spot", "deribit", "quiet"),
    ],
)
def test_silence(channel: str, kind: Kind, feed: str, verdict: str) -> None:
    """What a channel usually sends, and of which instruments, decides whether a minute of silence is a change."""
    assert result(cell(channel, kind, feed)) == verdict
    assert result(cell(channel, kind, feed, frames=1)) == "ok"


def test_not_long_enough() -> None:
    """A channel that was listened to for a few seconds only is quiet."""
    assert cell("trades", acknowledged_at=NOW - 3).verdict(NOW) == Verdict(
        "quiet", "nothing in 3 s; a message every 30 s is usual"
    )


def test_acknowledgement() -> None:
    """A rejection, or no answer at all, is a change; no answer yet is not."""
    assert reason(cell(acknowledged_at=None, rejection="60018: wrong channel")) == (
        "subscription rejected: 60018: wrong channel"
    )
    assert cell(acknowledged_at=None, asked_at=NOW - 30).verdict(NOW) == Verdict(
        "changed", "not acknowledged within 30 s"
    )
    assert result(cell(acknowledged_at=None, asked_at=NOW - 5)) == "unknown"
    assert result(cell(acknowledged_at=None, asked_at=None)) == "unknown"


def test_rejected_after_the_acknowledgement() -> None:
    """Binance acknowledges nonsense: its list then lacks the stream. That is no change of a channel seldom used."""
    missing = "acknowledged, but missing from the exchange's list of subscriptions"
    assert cell(feed="binance-usdm", rejection=missing).verdict(NOW) == Verdict("changed", missing)
    assert result(cell("next_quarter_candles_1m", feed="binance-usdm", rejection=missing)) == "quiet"


def test_failures() -> None:
    """A failure is a change only if the exchange has answered. A later acknowledgement ends it."""
    gone, away = Failure("returned 404", changed=True), Failure("connection refused", changed=False)
    assert cell(failure=gone).verdict(NOW) == Verdict("changed", "returned 404")
    assert cell(failure=away).verdict(NOW) == Verdict("unknown", "connection refused")
    recovered = cell(failure=away, acknowledged_at=None, frames=1)
    recovered.on_acknowledged(NOW)
    assert result(recovered) == "ok"


def test_frames() -> None:
    """Findings and dead letters are changes. What is no JSON is left to the dead letter."""
    trade = cell(shapes=(parse_shape("px side=buy|sell"),))
    for frame in (b'{"px":"1","side":"buy"}', b'{"price":"1","side":"hold"}', b"{"):
        trade.on_frame(NOW, frame)
    trade.dead_letters.update(["missing field 'px'"] * 2)
    assert trade.frames == 3
    assert trade.verdict(NOW) == Verdict(
        "changed",
        "unknown fields: price; missing fields: px; unknown values: side \"hold\"; 2 × missing field 'px'",
    )


def test_requests() -> None:
    """An answer without rows is quiet: there may have been none."""
    poll = cell("funding_history", is_request=True, acknowledged_at=None)
    assert reason(poll) == "no answer after 61 s"
    poll.on_answer(NOW, b"[]")
    assert poll.verdict(NOW) == Verdict("quiet", "its answer has no rows")
    poll.rows = 1
    assert result(poll) == "ok"


def test_json() -> None:
    """A cell as JSON: durations since it was asked for, nulls for what there is not."""
    each = cell("books", book=BookCheck(is_built=True, has_updates=True))
    each.on_frame(NOW)
    printed = orjson.loads(orjson.dumps(as_dict(each, each.verdict(NOW))))
    assert printed == {
        "channel": "books", "symbol": "BTC-USDT-PERP", "verdict": "ok", "reason": "", "acknowledged": True,
        "acknowledged_s": 1.0, "first_frame_s": 61.0, "frames": 1, "unknown_fields": [], "missing_fields": [],
        "unknown_values": [], "sequence": "held", "checksum": None, "clock_offset": None,
    }  # fmt: skip
