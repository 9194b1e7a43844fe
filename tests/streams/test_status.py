"""Feed health, from raw lines to `market.status` events."""

from typing import Any

import orjson
import pytest

from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import MS, line, marker, okx, tick
from tests.streams.helpers import bodies, run

KEY = "okx:BTC-USDT"


def trade(at: float, behind: float, number: int = 1) -> bytes:
    """Return a trade received `at` ms after the start, with an exchange time `behind` ms earlier."""
    return line(KEY, okx.trade(okx.SPOT, ts=str(int(MS + at - behind)), tradeId=str(number)), at)


def statuses(*records: bytes) -> list[dict[str, Any]]:
    return bodies(run("okx", *records), "market.status")


def test_markers_become_events() -> None:
    """Connections, subscriptions, silent channels and limits are reported with their channels and reason."""
    found = statuses(
        marker(KEY, "connected", 0, channels=["books"])
        + marker(KEY, "subscribed", 1, channels=["books"])
        + marker(KEY, "refused", 2, channels=["trades"], reason="60018: no such")
        + marker(KEY, "silent", 3, channel="books", age=75_000_000, step="resubscribe")
        + marker(KEY, "resumed", 4, channel="books", age=76_000_000)
        + marker(KEY, "rate_limited", 5, status=429, seconds=2.0, where="rest")
        + marker(KEY, "rest_down", 5, reason="timeout")
        + marker(KEY, "rest_up", 5, reason="it answers again")
        + marker(KEY, "rest_fallback", 6, reason="no socket is open")
        + marker(KEY, "rest_fallback_ended", 6, reason="the socket delivers again")
        + marker(KEY, "notice", 6, reason="64008: upgrade")
        + marker(KEY, "renewing", 7, channels=["books"])
        + marker(KEY, "renewed", 8, channels=["books"], reason="64008: upgrade")
        + marker(KEY, "disconnected", 9, channels=["books"], reason="closed")
        + marker(KEY, "connected", 10, channels=["books"])
    )
    assert [(event["type"], event["channels"], event["reason"], event["age"]) for event in found] == [
        ("connected", ["books"], "", 0),
        ("subscribed", ["books"], "", 0),
        ("refused", ["trades"], "60018: no such", 0),
        ("silent", ["books"], "resubscribe", 75_000_000),
        ("resumed", ["books"], "", 76_000_000),
        ("rate_limited", [], "rest 429: wait 2 s", 0),
        ("rest_down", [], "timeout", 0),
        ("rest_up", [], "it answers again", 0),
        ("rest_fallback", ["books"], "no socket is open", 0),
        ("rest_fallback_ended", ["books"], "the socket delivers again", 0),
        ("notice", [], "64008: upgrade", 0),
        ("renewing", ["books"], "", 0),
        ("renewed", ["books"], "64008: upgrade", 0),
        ("disconnected", ["books"], "closed", 0),
        ("connected", ["books"], "", 0),
    ]
    assert [(event["reconnects"], event["renewals"]) for event in (found[0], found[-1])] == [(0, 0), (1, 1)]


def test_two_sockets_are_not_a_reconnect() -> None:
    """An instrument whose channels are served by two sockets is connected twice, but has not reconnected."""
    found = statuses(marker(KEY, "connected", 0, channels=["books"]) + marker(KEY, "connected", 1, channels=["trades"]))
    assert [event["reconnects"] for event in found] == [0, 0]


def test_report() -> None:
    """Every 10 s each channel reports its messages, the age of the last, and latency by the exchange's clock."""
    lines = marker(KEY, "connected", 0) + marker(KEY, "clock", 1, offset=5_000, round_trip=900)
    lines += b"".join(trade(100 + number, 10 + number, number) for number in range(5))
    trades, books, quotes = statuses(lines + tick("okx", 10_001))[1:]
    assert (trades["channels"], trades["messages"], trades["age"]) == (["trades"], 5, 10_001_000 - 104_000)
    assert (trades["latency_median"], trades["latency_max"]) == (17_000, 19_000)
    assert (trades["clock_offset"], trades["round_trip"]) == (5_000, 900)
    assert (books["messages"], books["age"], quotes["channels"], quotes["latency_max"]) == (0, 0, ["quotes"], 0)


def test_report_of_many_messages() -> None:
    """The median is of samples from the whole interval, the maximum of all messages."""
    lines = b"".join(trade(number, 20 + number % 100, number) for number in range(2000))
    [report] = statuses(lines + tick("okx", 10_001))
    assert report["messages"] == 2000
    assert report["latency_max"] == 119_000
    assert 55_000 <= report["latency_median"] <= 85_000


@pytest.mark.parametrize("off", [-3_600_000, 3_600_000])
def test_wrong_clock(off: int) -> None:
    """Times that are an hour off are reported once, and once when they are right again. A single old one is not."""
    records = [trade(0, 60_000) + tick("okx", 1)]
    for second in range(1, 4):
        records.append(b"".join(trade(second * 1000 + n, 20, n) for n in range(3)) + tick("okx", second * 1000 + 900))
    for second in range(4, 7):
        records.append(b"".join(trade(second * 1000 + n, off, n) for n in range(3)) + tick("okx", second * 1000 + 900))
    records.append(b"".join(trade(7000 + n, 20, n) for n in range(3)) + tick("okx", 7900))
    found = [event for event in statuses(*records) if event["type"] != "report"]
    assert [(event["type"], event["channels"], event["local_timestamp"] // 1000 - MS) for event in found] == [
        ("wrong_clock", ["trades"], 4900),
        ("clock_right", ["trades"], 7900),
    ]


def test_clock_offset_is_corrected() -> None:
    """A clock that is known to be an hour ahead is not reported as wrong."""
    lines = marker(KEY, "clock", 0, offset=3_600_000_000, round_trip=900)
    lines += b"".join(trade(n, 20 - 3_600_000, n) for n in range(1, 5)) + tick("okx", 900)
    assert [event["type"] for event in statuses(lines)] == ["report"]


def test_state_survives_a_checkpoint() -> None:
    """A restored partition reports the same as one that was not interrupted."""
    settings = load_settings()
    first = marker(KEY, "connected", 0) + marker(KEY, "renewing", 1) + trade(100, 10, 1) + trade(200, 10, 2)
    then = trade(300, 10, 2) + trade(400, 10, 3) + marker(KEY, "connected", 500) + tick("okx", 10_001)
    whole, restored = RawProcessor("okx", 0, settings), RawProcessor("okx", 0, settings)
    whole.process(0, first)
    for key, dump in [(key, whole.dump(key)) for key in whole.take_changed()]:
        restored.load(key, dump)
    assert restored.process(1, then).records == whole.process(1, then).records


def test_duplicate_trades() -> None:
    """A trade is published once if its connection is replaced, is lost or repeats it, until its id is forgotten."""
    records = [
        trade(0, 1, 1) + trade(1, 1, 1),
        marker(KEY, "renewing", 10) + trade(11, 1, 2) + trade(12, 1, 3) + trade(13, 1, 2),
        marker(KEY, "renewed", 2_000) + trade(2_001, 1, 3) + trade(2_002, 1, 4),
        marker(KEY, "disconnected", 2_003) + marker(KEY, "connected", 2_004) + trade(2_005, 1, 4) + trade(2_006, 1, 5),
        tick("okx", 119_000) + tick("okx", 121_000) + trade(121_001, 1, 4),
    ]
    ids = [event["id"] for event in bodies(run("okx", *records), "market.trades")]
    assert ids == ["1", "2", "3", "4", "5"]


def test_only_the_channels_of_a_lost_socket_have_gaps() -> None:
    """The loss of a socket that serves no books leaves the book live."""
    partition = RawProcessor("okx", 0, load_settings())
    partition.process(0, line(KEY, okx.book(-1, 5, [["10", "1"]], [["11", "1"]], "snapshot")))
    for number, channels in enumerate((["quotes", "trades"], ["books"]), 1):
        out = partition.process(number, marker(KEY, "disconnected", number, channels=channels, reason="closed"))
        gaps = [orjson.loads(value)["channel"] for topic, _, value in out.records if topic == "market.gaps"]
        assert gaps == (["books"] if "books" in channels else ["trades"])
