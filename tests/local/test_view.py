"""Draw the live view in all sizes.

`golden/` holds what it looks like. After a change on purpose rewrite it, and look at each: `python -m
tests.local.test_view`.
"""

import math
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from marketprism.local.polled_value import Reading
from marketprism.local.summary import summary
from marketprism.local.view import Controls, Rates, View, ViewState, status_line
from marketprism.local.view.controls import VIEWS
from marketprism.local.view.waiting import waiting_for
from marketprism.ops.lag import Lag
from marketprism.ops.latest_quotes import LatestQuote, Price
from marketprism.ops.raw_topic_stats import RawStats
from marketprism.ops.table_stats import TableStats
from schemas.settings import load_settings
from tests.local.view_states import NOW, child, troubled_state, view_state

GOLDEN = Path(__file__).with_name("golden")
SIZES = ((80, 24), (100, 30), (120, 40), (200, 50))


def controls(view: str = "overview", filtered: str = "") -> Controls:
    made = Controls(lambda: None)
    made.view, made.filter = view, filtered
    return made


def drawn(state: ViewState, width: int, height: int, view: str = "overview", filtered: str = "") -> list[str]:
    """Return the lines of a view."""
    lines = View(state, controls(view, filtered)).lines(width, height)
    return ["".join(cell.text for cell in line).rstrip() for line in lines]


def captures() -> dict[str, str]:
    """Return the captures by file name."""
    states = {"": view_state(), "-troubled": troubled_state()}
    shown = {
        f"{width}x{height}{name}.txt": drawn(state, width, height)
        for width, height in SIZES
        for name, state in states.items()
    }
    shown |= {f"80x24-{view}.txt": drawn(view_state(), 80, 24, view) for view in VIEWS[1:]}
    return {name: "\n".join(lines) + "\n" for name, lines in shown.items()}


@pytest.mark.parametrize(("name", "text"), captures().items())
def test_captures(name: str, text: str) -> None:
    """The view looks as it did when somebody last looked at it."""
    assert text == (GOLDEN / name).read_text()


@settings(max_examples=150)
@given(
    width=st.integers(60, 220),
    height=st.integers(15, 60),
    view=st.sampled_from(VIEWS),
    state=st.sampled_from([view_state(), troubled_state()]),
    filtered=st.sampled_from(["", "ETH", "BTC-USD-270625-70000", "NONE"]),
)
def test_no_figure_is_cut(width: int, height: int, view: str, state: ViewState, filtered: str) -> None:
    """In any size the view fills the height, no line is too wide, and each figure is one of the widest view's."""
    lines = drawn(state, width, height, view, filtered)
    assert len(lines) == height
    assert max(cell_len(line) for line in lines) <= width
    assert "…" not in "".join(lines)
    whole = set(figures(drawn(state, 1000, 200, view, filtered)))
    assert {figure for figure in figures(lines) if not figure.startswith("+")} <= whole


def figures(lines: list[str]) -> list[str]:
    return re.findall(r"\S*\d\S*", "\n".join(lines))


def test_a_terminal_that_is_too_narrow() -> None:
    """A table of which not even the necessary columns fit says so."""
    lines = drawn(view_state(), 40, 40)
    assert lines.count("a wider terminal shows these") == 3


def test_rows_that_do_not_fit_are_counted() -> None:
    """All quotes are shown, or counted as left out."""
    for height in range(6, 60):
        lines = drawn(view_state(), 80, height, "market")
        shown = len(lines) - 5
        assert f"+{60 - shown} more" in lines[2]
    assert "more" not in drawn(view_state(), 80, 65, "market")[2]


def test_filter() -> None:
    """The filter applies to quotes and opportunities."""
    lines = drawn(view_state(), 200, 50, filtered="SHIB")
    symbols = set(re.findall(r"\w+-USD\S*", "\n".join(lines)))
    assert symbols == {"SHIB-USDT", "SHIB-USDT-PERP"}


@pytest.mark.parametrize("view", ["market", "arbitrage"])
def test_filter_by_exchange(view: str) -> None:
    """The filter applies to exchanges too. If nothing matches, the panel says how to clear it."""
    rows = drawn(view_state(), 120, 50, view, "DERIBIT")[4:-1]
    assert [row for row in rows if row and "deribit" not in row] == []
    assert "deribit" in rows[0]
    assert "nothing matches OXK (Esc clears)" in drawn(view_state(), 80, 24, view, "OXK")


def test_nothing_is_missed_at_the_start() -> None:
    """What has not connected within the first seconds is connecting, and only then down."""
    unknown = replace(
        view_state(), raw_stats=RawStats(), lag=Reading(Lag(), math.inf), table_stats=Reading(TableStats(), math.inf)
    )
    text = "\n".join(drawn(replace(unknown, shown_for=3.0), 120, 40))
    assert "feeds 0/7 connecting" in text
    assert not re.search("down|not known", text)
    text = "\n".join(drawn(replace(unknown, shown_for=30.0), 120, 40))
    assert "Kafka not known yet" in text
    assert "down" in text


def test_silence_on_purpose() -> None:
    """Once ingest was stopped, no feed is silent or down."""
    state = troubled_state()
    state = replace(state, statuses=[child("ingest", "stopped")])
    text = "\n".join(drawn(state, 120, 40))
    assert "stopped" in text
    assert not re.search("silent|down", text)


def first_seconds() -> ViewState:
    """Return the state of a live run of which one feed delivers, and of the others each has another problem."""
    feeds = ("okx", "deribit", "htx-spot", "htx-linear", "binance-spot", "binance-usdm")
    symbols = ("BTC-USDT", "BTC-USD-PERP", "ETH-USDT-PERP")
    problems = {"okx": "", "deribit": "Connection refused", "htx-spot": "", "htx-linear": "Connection refused"}
    return replace(
        view_state(),
        title="live",
        settings=load_settings(feeds=feeds, symbols=symbols),
        raw_stats=RawStats(
            frames={"okx": 5, "binance-spot": 9},
            received_at={"okx": NOW, "binance-spot": NOW - 9_000_000},
            subscriptions={"okx": 1},
            lost={"binance-spot": "HTTP 451"},
        ),
        table_stats=Reading(TableStats()),
        quotes=[],
        rates={},
        shown_for=7.0,
        problems=problems,
    )


def test_the_first_seconds() -> None:
    """Each feed that delivers nothing has its reason, and each empty panel says what is waited for, and how long."""
    lines = drawn(first_seconds(), 120, 40)
    for expected in (
        r"okx +● connected .*",
        r"deribit +○ down .* Connection refused",
        r"htx-spot +○ waiting .* no data yet, 7\.0 s",
        r"binance-spot +○ down .* HTTP 451",
        r"binance-usdm +○ connecting .* trying hosts, 7\.0 s",
        "waiting for the first live book, 7\\.0 s",
    ):
        assert any(re.match(expected, line) for line in lines), expected
    text = status_line(first_seconds())
    assert text.startswith("feeds 1/6  frames 14 ")
    assert "  waiting for the first live book, 7.0 s  " in text
    assert "  deribit, htx-linear down (Connection refused)  htx-spot waiting (no data yet, 7.0 s)  " in text


def test_a_feed_without_symbols() -> None:
    """It is neither down nor waited for."""
    state = replace(first_seconds(), settings=load_settings(feeds=("okx", "htx-spot"), symbols="BTC-USD-PERP"))
    assert any(re.match("htx-spot +○ unused .* has none of the symbols", line) for line in drawn(state, 120, 40))


def test_a_feed_whose_symbols_are_not_listed() -> None:
    """Its exchange answers, but there is nothing to subscribe to."""
    state = replace(first_seconds(), settings=load_settings(feeds=("okx", "deribit")), problems={}, shown_for=60.0)
    assert any(re.match("deribit +○ down .* no instruments", line) for line in drawn(state, 120, 40))


def test_no_feed_can_be_reached() -> None:
    """It is a warning until the feeds are stopped on purpose."""
    state = replace(first_seconds(), problems=dict.fromkeys(("okx", "deribit"), "HTTP 451"))
    assert state.warnings == ["no feed can be reached: still trying"]
    assert replace(state, statuses=[child("ingest", "stopped")]).warnings == []


def test_what_is_waited_for() -> None:
    """A frame, a live book, and a signal, in this order, as far as the settings let them come."""
    state = first_seconds()
    books = Reading(TableStats(live_books={"okx": 1}))
    assert "first frame" in waiting_for(replace(state, raw_stats=RawStats()))
    assert "first live book" in waiting_for(state)
    assert "first signal" in waiting_for(replace(state, table_stats=books))
    alone = load_settings(feeds="okx", kinds="trades")
    assert waiting_for(replace(state, settings=alone)) == ""


def quotes(*given: LatestQuote) -> list[list[str]]:
    """Return the cells of the market's rows."""
    return [re.split(r"\s{2,}", line) for line in drawn(replace(view_state(), quotes=given), 120, 20, "market")[4:-1]]


def test_prices_are_exact() -> None:
    """Prices of one symbol have the same number of decimals, and no digit is lost."""
    tight = LatestQuote("binance", "BTC-USDT", NOW, Price("86731.120000000000001"), Price("86731.120000000000002"))
    plain = LatestQuote("okx", "BTC-USDT", NOW, Price("86731.100"), Price("86732"))
    rows = quotes(tight, plain)
    assert rows[0][3:5] == ["86731.120000000000001", "86731.120000000000002"]
    assert rows[1][3:5] == ["86731.100000000000", "86732.000000000000"]


def test_distance_to_the_best() -> None:
    """Each side is compared with the best fresh one of all exchanges."""
    old = NOW - 11_000_000
    rows = quotes(
        LatestQuote("binance", "BTC-USDT", NOW, Price("100.0", "12.5"), Price("100.2", "0.00012")),
        LatestQuote("okx", "BTC-USDT", NOW, Price("99.9"), Price("100.1")),
        LatestQuote("htx", "BTC-USDT", old, Price("100.9"), Price("99.1")),
    )
    assert rows[0][1:] == ["binance", "12.5", "100.0", "100.2", "0.00012", "20.0", "best", "10.0", "0 s"]
    assert rows[2][1:] == ["okx", "-", "99.9", "100.1", "-", "20.0", "10.0", "best", "0 s"]
    assert rows[1][1:] == ["htx", "-", "100.9", "99.1", "-", "-180.0", "11 s"]


def test_quotes_by_rest() -> None:
    """A quote that was polled is marked instead of compared, and its prices are yellow."""
    polled = LatestQuote("htx", "BTC-USDT", NOW, Price("100.9"), Price("99.1"), is_by_rest=True)
    rows = quotes(
        LatestQuote("binance", "BTC-USDT", NOW, Price("100.0"), Price("100.2")),
        LatestQuote("okx", "BTC-USDT", NOW, Price("99.9"), Price("100.1")),
        polled,
    )
    assert rows[0][6:8] == ["20.0", "best"]
    assert rows[1][1:] == ["htx", "-", "100.9", "99.1", "-", "-180.0", "REST", "REST", "0 s"]
    line = View(replace(view_state(), quotes=[polled]), controls("market")).lines(80, 10)[4]
    assert [cell.style for cell in line if cell.text.strip() in ("100.9", "99.1")] == ["yellow", "yellow"]


def test_moves_are_coloured() -> None:
    """A price is coloured for some seconds after it moved, and dimmed when it is old."""

    def style(quote: LatestQuote) -> str:
        line = View(replace(view_state(), quotes=[quote]), controls("market")).lines(80, 10)[4]
        return next(cell.style for cell in line if cell.text.strip() == "2")

    assert style(LatestQuote("okx", "BTC-USDT", NOW, Price("2", "1", 1, NOW))) == "green"
    assert style(LatestQuote("okx", "BTC-USDT", NOW, Price("2", "1", -1, NOW))) == "red"
    assert style(LatestQuote("okx", "BTC-USDT", NOW, Price("2", "1", -1, NOW - 4_000_000))) == ""
    assert style(LatestQuote("okx", "BTC-USDT", NOW - 11_000_000, Price("2", "1", -1, NOW))) == "dim"


def test_open_opportunities_do_not_outlive_the_pipeline() -> None:
    """The lifetime of an open opportunity grows until the newest stored quote, that of a closed one not at all."""
    still_open, closed = view_state().table_stats.value.opportunities[1:3]
    assert still_open.lifetime_at(still_open.opened_at + 5_000_000) == 5_000_000
    assert still_open.lifetime_at(0) == still_open.lifetime
    assert closed.lifetime_at(NOW) == closed.lifetime


def test_status_line_and_summary() -> None:
    """The status line replaces the view without a terminal. The summary follows at the end."""
    state = replace(view_state(), rates={"okx": 10.0})
    frames = sum(state.raw_stats.frames.values())
    assert f"frames {frames:,} (10/s)" in status_line(state)
    assert "lag 7.2 s" in status_line(state)
    text = summary(state, 60, "data", 1000)
    for expected in (
        "Ran for 1 min.",
        f"received   {frames:,} frames: deribit 10,650,044,172",
        "remaining  3,576 records, the oldest 7.2 s old",
        "processed when the system runs with --data data again",
        "signals    1,214 opened, 1,212 closed",
        "set aside  nothing",
        "restarts   none",
    ):
        assert expected in text


def test_the_summary_is_wrapped() -> None:
    """Lines end between words and go on below their text. The command alone is as long as it must be."""
    directory = "/a directory/" + "x" * 100
    head, *lines = summary(troubled_state(), 60, directory, 60).splitlines()
    assert (head, lines.pop()) == ("Ran for 1 min.", f"marketprism sql --data '{directory}' \"SELECT …\"")
    assert [line for line in lines if not line.startswith("  ") or line[12] != " "] == []
    assert [line for line in lines if len(line) > 60 and directory.split()[1] not in line] == []
    words = " ".join(lines).split()
    assert words == summary(troubled_state(), 60, directory, 1000).split()[4 : 4 + len(words)]


def test_old_values_are_marked() -> None:
    """Values that could not be read are shown with their age in the view, the status line and the summary."""
    state = view_state()
    assert state.warnings == []
    state.disk.state, state.disk.free = "low", 400_000_000
    state = replace(
        state,
        lag=Reading(state.lag.value, 12.0),
        table_stats=Reading(TableStats(), float("inf")),
        statuses=[child("ingest")],
        raw_stats=replace(state.raw_stats, age=30.0),
    )
    for text in ("\n".join(drawn(state, 150, 30)), status_line(state), summary(state, 1, "", 1000)):
        assert "Kafka as of 12 s ago" in text
        assert "ClickHouse not known yet" in text
        assert "frames as of 30 s ago" in text
        assert "disk low: 0.40 GB free" in text


def test_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates are averages over the last seconds, however often they are read."""
    clock = iter([0.0, 1.0, 1.1, 2.0, 7.0, 8.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    rates = Rates()
    assert rates.update({"okx": 100}) == {"okx": 100.0}
    assert rates.update({"okx": 110}) == pytest.approx({"okx": 100.0})
    assert rates.update({"okx": 200}) == {"okx": 100.0}
    assert rates.update({"okx": 700}) == {"okx": 100.0}
    assert rates.update({"okx": 700}) == pytest.approx({"okx": 500 / 6})


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file, capture in captures().items():
        (GOLDEN / file).write_text(capture)
