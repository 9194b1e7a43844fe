"""The view `data_quality` on the real engine: each figure of made-up hours, computed by hand."""

import re
from collections.abc import Iterator
from itertools import count

import pytest

from marketprism.ops.quality import Score
from schemas.settings import load_settings
from sinks.directory import directory_of
from sinks.migrations import load, migrate
from sinks.sql.read_only import ReadOnlyConnection
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import DAY
from tests.sinks.quality_data import BOTH, HOUR, MINUTE, SECOND, Database, Instrument

_NUMBERS = count()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    settings = load_settings(clickhouse=f"chdb://{tmp_path_factory.mktemp('quality')}/clickhouse", database="prism")
    storage = EmbeddedStorage(settings)
    migrate(storage, settings)
    reader = ReadOnlyConnection(directory_of(settings), settings.database)
    yield Database(storage, reader)
    reader.close()
    storage.close()


@pytest.fixture
def instrument(database: Database) -> Instrument:
    """Return an instrument of the test's own."""
    return Instrument(database, f"T{next(_NUMBERS)}-USDT")


@pytest.fixture
def running(instrument: Instrument) -> Instrument:
    """Return an instrument that has been delivered from the start of hour 0 to the end of hour 1."""
    instrument.status(0, "connected", *BOTH)
    instrument.deliver(0, 2 * HOUR)
    return instrument


def verdict(score: Score) -> tuple[float, str]:
    return score.score, score.reason


def test_a_full_hour(running: Instrument) -> None:
    """All figures of an hour in which everything was received."""
    running.compare(10 * MINUTE, "book", 40, 0)
    running.compare(10 * MINUTE, "candle", 5, 0)
    found = running.scores(HOUR)
    assert list(found) == [0]
    assert found[0].model_dump(exclude={"exchange", "symbol"}) == {
        "hour": DAY, "score": 100, "reason": "", "expected_seconds": 3600, "trades_coverage": 1, "books_coverage": 1,
        "gaps": 0, "gaps_filled": 0, "gap_seconds": 0, "trades": 60, "trades_lost": 0, "trades_late": 0,
        "book_compared": 40, "book_differed": 0, "candle_compared": 5, "candle_differed": 0, "candle_explained": 0,
        "latency_channel": "trades", "latency_p50": 5_000, "latency_p99": 5_000,
    }  # fmt: skip


# Gaps


def test_a_gap_over_the_end_of_an_hour(running: Instrument) -> None:
    """Each hour has its part of the gap: 10 minutes of the first, 5 of the second."""
    running.gap("a", "books", 50 * MINUTE, opened=51 * MINUTE, closed=65 * MINUTE)
    found = running.scores(2 * HOUR)
    assert [found[n].books_coverage for n in (0, 1)] == [1 - 10 / 60, 1 - 5 / 60]
    assert [found[n].trades_coverage for n in (0, 1)] == [1, 1]
    assert [(found[n].gaps, found[n].gap_seconds) for n in (0, 1)] == [(1, 600), (1, 300)]
    assert [found[n].score for n in (0, 1)] == pytest.approx([100 * 50 / 60, 100 * 55 / 60])
    assert [found[n].reason for n in (0, 1)] == ["books_coverage", "books_coverage"]


def test_a_gap_that_ends_with_the_hour(running: Instrument) -> None:
    """It has no part in the hour that begins then."""
    running.gap("a", "books", 50 * MINUTE, opened=51 * MINUTE, closed=60 * MINUTE)
    assert [found.gaps for found in running.scores(2 * HOUR).values()] == [1, 0]
    assert running.scores(2 * HOUR, since=HOUR)[1].gaps == 0


def test_a_gap_that_ends_before_it_begins(running: Instrument) -> None:
    """The clocks of two ingests differ: it takes no time, and hides no other gap."""
    running.gap("a", "books", 11 * MINUTE, opened=9 * MINUTE, closed=10 * MINUTE)
    running.gap("b", "books", 8 * MINUTE, opened=8 * MINUTE, closed=14 * MINUTE)
    found = running.scores(HOUR)[0]
    assert (found.books_coverage, found.gaps, found.gap_seconds) == (0.9, 2, 360)


def test_an_open_gap_lasts_until_now(running: Instrument) -> None:
    """Half of the second hour has passed, and the book has been missing for all of it."""
    running.gap("a", "books", 45 * MINUTE, opened=46 * MINUTE)
    found = running.scores(90 * MINUTE)
    assert [found[n].books_coverage for n in (0, 1)] == [0.75, 0]
    assert [found[n].gap_seconds for n in (0, 1)] == [900, 1800]
    assert found[1].expected_seconds == 1800
    assert verdict(found[1]) == (0, "books_coverage")


def test_overlapping_gaps_count_once(running: Instrument) -> None:
    """Two gaps of trades, from minute 10 to 30 and from 20 to 40, cover half an hour."""
    running.gap("a", "trades", 10 * MINUTE, opened=11 * MINUTE, closed=30 * MINUTE)
    running.gap("b", "trades", 20 * MINUTE, opened=21 * MINUTE, closed=40 * MINUTE)
    running.gap("c", "books", 20 * MINUTE, opened=21 * MINUTE, closed=40 * MINUTE)
    found = running.scores(HOUR)[0]
    assert (found.trades_coverage, found.books_coverage) == (0.5, 1 - 20 / 60)
    assert (found.gaps, found.gap_seconds) == (3, 1800 + 1200)
    assert verdict(found) == (50, "trades_coverage")


def test_an_id_that_is_opened_twice_is_one_gap(running: Instrument) -> None:
    """The second event of the same gap changes nothing."""
    running.gap("a", "books", 10 * MINUTE, opened=11 * MINUTE)
    running.gap("a", "books", 10 * MINUTE, opened=12 * MINUTE, closed=16 * MINUTE)
    found = running.scores(HOUR)[0]
    assert (found.books_coverage, found.gaps, found.gap_seconds) == (0.9, 1, 360)


def test_an_id_that_is_used_again_is_another_gap(running: Instrument) -> None:
    """The time between the two is not missing."""
    running.gap("a", "books", 10 * MINUTE, opened=11 * MINUTE, closed=16 * MINUTE)
    running.gap("a", "books", 50 * MINUTE, opened=51 * MINUTE, closed=56 * MINUTE)
    found = running.scores(HOUR)[0]
    assert (found.books_coverage, found.gaps, found.gap_seconds) == (0.8, 2, 720)


# Missing trades


def test_lost_trades(running: Instrument) -> None:
    """60 trades arrived and 20 did not: three of four. The gap is the time until they were found to be missing."""
    running.lose(101, 120, 10 * MINUTE, opened=10 * MINUTE + 3 * SECOND)
    first, second = running.scores(2 * HOUR).values()
    assert (first.trades_lost, first.gap_seconds) == (20, 3)
    assert first.trades_coverage == 1 - 3 / 3600
    assert verdict(first) == (75, "trades_lost")
    assert (second.trades_lost, second.gaps, second.trades_coverage) == (0, 0, 1)


def test_lost_trades_count_where_they_begin(running: Instrument) -> None:
    """A hole that spans two hours is no loss of both."""
    running.lose(101, 120, 59 * MINUTE, opened=62 * MINUTE)
    assert [(found.trades_lost, found.gaps) for found in running.scores(2 * HOUR).values()] == [(20, 1), (0, 1)]


@pytest.mark.parametrize("ending", ["filled", "closed"])
def test_trades_that_came_later_are_not_missing(running: Instrument, ending: str) -> None:
    """Filled from the past, or arrived by themselves: the tables have them."""
    running.lose(101, 120, 10 * MINUTE, opened=13 * MINUTE, **{ending: 90 * MINUTE})
    found = running.scores(HOUR)[0]
    assert (found.trades_lost, found.trades_coverage) == (0, 1)
    assert (found.gaps, found.gaps_filled, found.gap_seconds) == (1, int(ending == "filled"), 180)
    assert verdict(found) == (100, "")


def test_an_outage_that_was_filled(running: Instrument) -> None:
    """Whether an outage lacks trades is not known, unless it was filled. A book's gap is never filled."""
    running.gap("a", "trades", 10 * MINUTE, opened=11 * MINUTE, closed=40 * MINUTE)
    found = running.scores(HOUR)[0]
    assert (found.trades_lost, found.trades_coverage, found.gaps_filled) == (None, 0.5, 0)
    assert verdict(found) == (50, "trades_coverage")
    running.gap("a", "trades", 10 * MINUTE, filled=100 * MINUTE)
    found = running.scores(HOUR)[0]
    assert (found.trades_lost, found.trades_coverage, found.gaps_filled) == (0, 1, 1)
    assert verdict(found) == (100, "")


# Comparisons


def test_differences_of_the_book(running: Instrument) -> None:
    """One of 40 truth checks: 97.5."""
    running.compare(10 * MINUTE, "book", 30, 1)
    running.compare(20 * MINUTE, "book", 10, 0)
    running.insert("quality", 9 * MINUTE, type="difference", check="book", cause="")
    found = running.scores(HOUR)[0]
    assert (found.book_compared, found.book_differed) == (40, 1)
    assert verdict(found) == (97.5, "book_differed")


def test_differences_of_candles(running: Instrument) -> None:
    """Of 20 candles 3 differed, one of them for an unknown reason: 95."""
    running.compare(10 * MINUTE, "candle", 20, 3)
    for cause in ("aggregated", "", "late", "gap"):  # a candle that lacks trades is not compared
        running.insert("quality", 10 * MINUTE, type="difference", check="candle", cause=cause, late=0)
    found = running.scores(HOUR)[0]
    assert (found.candle_compared, found.candle_differed, found.candle_explained) == (20, 3, 2)
    assert verdict(found) == (95, "candle_differed")


def test_late_trades(running: Instrument) -> None:
    """15 of 60: 75."""
    running.compare(10 * MINUTE, "candle", 0, 0, late=15)
    found = running.scores(HOUR)[0]
    assert found.trades_late == 15
    assert verdict(found) == (75, "trades_late")


def test_the_lowest_part_is_the_score(running: Instrument) -> None:
    """Others neither raise it nor lower it."""
    running.gap("a", "books", 0, opened=0, closed=6 * MINUTE)
    running.gap("b", "trades", 0, opened=0, closed=30 * MINUTE)
    running.compare(10 * MINUTE, "book", 100, 1)
    running.compare(10 * MINUTE, "candle", 0, 0, late=15)
    assert verdict(running.scores(HOUR)[0]) == (50, "trades_coverage")


# What was to be delivered


def test_an_hour_begins_with_its_instrument(instrument: Instrument) -> None:
    """There is no hour before the first event, and of the first one only the time since then counts."""
    instrument.status(30 * MINUTE, "connected", *BOTH)
    instrument.deliver(30 * MINUTE, HOUR)
    instrument.gap("a", "books", 40 * MINUTE, opened=40 * MINUTE, closed=43 * MINUTE)
    found = instrument.scores(HOUR, since=-5 * HOUR)
    assert list(found) == [0]
    assert (found[0].expected_seconds, found[0].books_coverage) == (1800, 0.9)


def test_a_channel_that_is_not_ingested(instrument: Instrument) -> None:
    """Its coverage is NULL, and does not count."""
    instrument.status(0, "connected", "trades", "quotes")
    instrument.deliver(0, HOUR, ("trades",))
    found = instrument.scores(HOUR)[0]
    assert (found.trades_coverage, found.books_coverage) == (1, None)
    assert verdict(found) == (100, "")


@pytest.mark.parametrize("end", ["stopped", "delisted"])
def test_nothing_is_expected_after_the_end(running: Instrument, end: str) -> None:
    """Hours without the instrument vanish, though workers go on to report it; of others its time counts."""
    running.status(90 * MINUTE, end)
    running.report(90 * MINUTE + 5 * SECOND, 5 * HOUR, messages=0)
    found = running.scores(5 * HOUR)
    assert list(found) == [0, 1]
    assert (found[1].expected_seconds, found[1].score) == (1800, 100)


def test_a_stop_of_one_channel(running: Instrument) -> None:
    """The other one is still expected."""
    running.status(HOUR, "stopped", "books")
    found = running.scores(2 * HOUR)[1]
    assert (found.trades_coverage, found.books_coverage, found.expected_seconds) == (1, None, 3600)


def test_a_restart(running: Instrument) -> None:
    """The time of the stop is not expected; the gap that is reported after it counts as one, and with its seconds."""
    running.status(2 * HOUR - 10 * MINUTE, "stopped")
    running.status(4 * HOUR + 30 * MINUTE, "connected", *BOTH)
    running.gap("a", "books", 110 * MINUTE, opened=270 * MINUTE, closed=273 * MINUTE)
    running.deliver(270 * MINUTE, 5 * HOUR)
    found = running.scores(5 * HOUR)
    assert list(found) == [0, 1, 4]
    assert [found[n].expected_seconds for n in (1, 4)] == [3000, 1800]
    assert [found[n].books_coverage for n in (1, 4)] == [1, 0.9]
    assert [found[n].gap_seconds for n in (1, 4)] == [600, 33 * 60]


def test_another_ingest_goes_on_after_a_stop(running: Instrument) -> None:
    """The channel is `resumed` then."""
    running.status(HOUR, "stopped")
    running.status(HOUR + SECOND, "resumed", *BOTH)
    assert running.scores(2 * HOUR)[1].expected_seconds == 3599


def test_hours_without_any_event(running: Instrument) -> None:
    """They are there, with coverage 0, until now: nobody has stopped the instrument."""
    found = running.scores(4 * HOUR + 20 * MINUTE)
    assert list(found) == [0, 1, 2, 3, 4]
    for n in (2, 3, 4):
        assert (found[n].trades_coverage, found[n].books_coverage) == (0, 0)
        assert verdict(found[n]) == (0, "trades_coverage")
    assert [found[n].expected_seconds for n in (3, 4)] == [3600, 1200]
    assert (found[4].trades, found[4].latency_channel, found[4].latency_p50) == (0, "", None)


def test_a_pipeline_that_died(running: Instrument) -> None:
    """What nobody reports is missing: from the last report, at 1:59:30 and again at 2:09:30, on."""
    running.deliver(125 * MINUTE, 130 * MINUTE)
    found = running.scores(3 * HOUR)[2]
    assert found.trades_coverage == found.books_coverage == pytest.approx(4.5 / 60)
    assert verdict(running.scores(2 * HOUR)[1]) == (100, "")


def test_nothing_is_received(instrument: Instrument) -> None:
    """Neither trades nor books come, though the connection is up and reported."""
    instrument.status(0, "connected", *BOTH)
    instrument.report(0, HOUR, messages=0)
    found = instrument.scores(HOUR)[0]
    assert (found.trades_coverage, found.books_coverage, found.score) == (0, 0, 0)


def test_a_book_that_is_never_live(instrument: Instrument) -> None:
    """It opens no gap, as nothing was there to be missed."""
    instrument.status(0, "connected", *BOTH)
    instrument.deliver(0, HOUR, ("trades",))
    instrument.report(0, HOUR, ("books",))
    found = instrument.scores(HOUR)[0]
    assert (found.trades_coverage, found.books_coverage) == (1, 0)
    assert verdict(found) == (0, "books_coverage")


@pytest.mark.parametrize("kind", ["silent", "refused"])
def test_a_silent_channel(instrument: Instrument, kind: str) -> None:
    """Its time is missing, whatever else arrives and however often it is connected, until it is heard again."""
    instrument.status(0, "connected", *BOTH)
    instrument.deliver(0, HOUR, ("books",))
    instrument.deliver(0, 20 * MINUTE, ("trades",))
    instrument.report(20 * MINUTE, HOUR, ("trades",), messages=0)
    instrument.status(30 * MINUTE, kind, "trades")
    instrument.status(35 * MINUTE, "connected", *BOTH)
    instrument.status(45 * MINUTE, "resumed", "trades")
    found = instrument.scores(HOUR)[0]
    assert (found.trades_coverage, found.books_coverage, found.gaps) == (0.75, 1, 0)
    assert verdict(found) == (75, "trades_coverage")


def test_a_channel_is_heard_in_a_report(running: Instrument) -> None:
    """An ingest that replaces a silent one reports no `resumed`: the messages of a report tell, to the minute."""
    running.status(9 * MINUTE + 45 * SECOND, "silent", "books")
    found = running.scores(HOUR)[0]
    assert found.books_coverage == 1 - 45 / 3600  # the last report of its minute is 10:30


def test_hours_are_the_same_however_they_are_asked_for(running: Instrument) -> None:
    """A state or a gap may have begun long before what is asked for."""
    running.gap("a", "books", 50 * MINUTE, opened=51 * MINUTE)
    running.status(2 * HOUR + 10 * MINUTE, "stopped", "trades")
    running.report(2 * HOUR, 12 * HOUR)
    every = running.scores(12 * HOUR)
    assert list(every) == list(range(12))
    for n, row in every.items():
        assert running.scores((n + 1) * HOUR, since=n * HOUR + 25 * MINUTE) == {n: row}


def test_there_is_no_hour_after_now(running: Instrument) -> None:
    """A time to come ends nothing."""
    day = 24 * HOUR
    assert running.scores(HOUR, since=400_000 * day) == {}
    assert running.scores(800_000 * day, since=400_000 * day) == {}


# Latency


def test_latency(instrument: Instrument) -> None:
    """Of trades at 1 to 100 ms: `quantileExact` picks one that occurred. The exchange's clock is 3 ms ahead of ours."""
    instrument.status(0, "connected", *BOTH)
    instrument.report(0, HOUR, clock_offset=3_000)
    instrument.deliver(0, HOUR, ("books",), clock_offset=3_000)
    for n in range(1, 101):
        instrument.insert("trades", 20 * SECOND * n, timestamp=DAY + 20 * SECOND * n - n * 1_000)
    instrument.insert("trades", 40 * MINUTE, timestamp=DAY + 38 * MINUTE)  # filled in from the past
    found = instrument.scores(HOUR)[0]
    assert (found.latency_channel, found.latency_p50, found.latency_p99) == ("trades", 54_000, 103_000)
    assert found.trades == 100


def test_without_trades_the_latency_of_books(instrument: Instrument) -> None:
    """Another hour has trades."""
    instrument.status(0, "connected", *BOTH)
    instrument.deliver(0, HOUR, ("books",))
    instrument.deliver(HOUR, 2 * HOUR)
    instrument.report(0, HOUR, ("trades",))
    assert [found.latency_channel for found in instrument.scores(2 * HOUR).values()] == ["books", "trades"]
    assert [found.latency_p99 for found in instrument.scores(2 * HOUR).values()] == [5_000, 5_000]


def test_an_exchange_that_sends_no_time(instrument: Instrument) -> None:
    """Its trades have the time of receipt, which is no latency of 0."""
    instrument.status(0, "connected", "trades")
    instrument.report(0, HOUR, ("trades",))
    instrument.insert("trades", 10 * MINUTE)
    found = instrument.scores(HOUR)[0]
    assert (found.trades, found.latency_channel, found.latency_p50, found.latency_p99) == (1, "", None, None)


# Columns


def test_columns_are_as_declared(database: Database) -> None:
    """The view names its columns with types and comments; the types of its query decide. The model says the same."""
    text = next(migration.text for migration in load() if migration.name == "0005_data_quality.sql")
    declared = re.findall(r"^    (\w+) (.+) COMMENT '((?:[^']|'')+)'", text, re.M)
    described = database.storage.query("DESCRIBE TABLE prism.data_quality(since = '2024-08-08', until = now())")
    assert [row[:2] for row in described] == [[name, kind] for name, kind, _ in declared]
    comments = {name: comment.replace("''", "'") for name, _, comment in declared}
    comments["hour"] += ", microseconds"
    assert comments == {name: field.description for name, field in Score.model_fields.items()}
