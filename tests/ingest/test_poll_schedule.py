"""When polls are due, what they ask for, and whether it has arrived."""

import pytest

from ingest.exchanges.polls import PollRow
from ingest.poll_schedule import PollSchedule, jitter_of
from tests.ingest.polling import START, by_symbol, limit, newest

ROW = PollRow("/ratios", by_symbol, ("long_short_ratios",), most=30, rows=limit, newest=newest, lag_s=5.0)
END = START + 300


def schedule(row: PollRow = ROW, now: float = START + 100, jitter: float = 2.0) -> PollSchedule:
    return PollSchedule(row, 300.0, jitter, now)


def test_periods_are_aligned() -> None:
    """A period is polled after its end, by the time that the exchange takes to publish it, and the jitter."""
    each = schedule()
    assert [each.end_at(END + after) - START for after in (-100, 0, 6.9, 7.1, 200)] == [0, 0, 0, 300, 300]
    assert each.left(END, END + 7) == 300
    assert each.left(END, END + 310) == -3
    assert each.due(END) == END + 5
    assert schedule().due(START) == START + 100  # it was over before we began


def test_jitter() -> None:
    """The jitter of a subject is always the same, at most a few seconds, and spreads the requests of a period."""
    found = sorted(jitter_of("account_ratios", f"binance:C{number}-USDT-PERP", 300.0) for number in range(500))
    assert found == sorted(jitter_of("account_ratios", f"binance:C{number}-USDT-PERP", 300.0) for number in range(500))
    assert 0 <= found[0] < found[-1] < 5
    assert all(found[index + 50] - found[index] > 0.2 for index in range(0, 450, 50))
    assert jitter_of("open_interest", "okx:BTC-USDT-PERP", 10.0) < 0.5
    assert jitter_of("a", "okx:BTC-USDT-PERP", 300.0) != jitter_of("b", "okx:BTC-USDT-PERP", 300.0)


def test_rows_since_the_last() -> None:
    """All periods since the newest one received are asked for, as far as an answer can hold them."""
    each = schedule()
    assert each.rows(START) == 12  # an hour: there may have been an ingest before this one
    assert each.on_answer(30, START - 300, START + 7)
    assert [each.rows(START + 300 * number) for number in (0, 1, 3, 100)] == [1, 2, 4, 30]
    assert not each.on_answer(30, START - 300, END + 7)
    assert each.on_answer(30, START, END + 7)
    assert each.rows(END + 300) == 2


@pytest.mark.parametrize(("row_s", "most", "count"), [(300, 30, 12), (300, 10, 10), (0, 30, 1), (7200, 30, 1)])
def test_rows_have_a_period_of_their_own(row_s: float, most: int, count: int) -> None:
    """Rows are counted in their own period if it is shorter than the poll's and known."""
    each = PollSchedule(ROW._replace(row_s=row_s, most=most), 3600.0, 2.0, START + 100)
    assert each.on_answer(most, START, START + 100)
    assert each.rows(START + 3600) == count


@pytest.mark.parametrize("period_s", [420.0, 1800.0])
def test_a_period_that_ends_within_a_row(period_s: float) -> None:
    """What is expected is the latest row that had ended with the period, wherever in the period a poll was late."""
    each = PollSchedule(ROW._replace(row_s=300.0), period_s, 2.0, START)
    for number, late in enumerate([1000.0, *[7.0] * 20]):
        end = each.end_at(START + 2000 + number * period_s)
        each.on_answer(30, (end + late) // 300 * 300 - 300, end + late)
        assert each.has_arrived(end)


def test_too_few_rows() -> None:
    """If a request waited so long that its answer leaves periods out, these are asked for again."""
    each = schedule()
    for end in (START, END):
        each.on_answer(12, end - 300, end + 7)
    assert each.rows(END + 300) == 2
    assert each.on_answer(2, END + 600, END + 1000)
    assert not each.has_arrived(END + 900)
    assert each.rows(END + 900) == 4
    assert each.on_answer(4, END + 600, END + 1002)
    assert each.has_arrived(END + 900)
    assert each.rows(END + 1200) == 2


def test_current_values() -> None:
    """Where there is no history, one row is asked for, and whatever arrives is it."""
    each = schedule(PollRow("/current", by_symbol, ("open_interest",)))
    assert [each.rows(START + 300 * number) for number in range(3)] == [1, 1, 1]
    each.on_answer(30, 0, END + 7)
    assert each.has_arrived(END)


@pytest.mark.parametrize("stamp", [-300, 0, 1.5])
def test_not_there_yet(stamp: float) -> None:
    """An answer without the polled period is noticed, wherever in a period the exchange stamps it."""
    each = schedule()
    for number in range(3):
        end = START + 300 * number
        each.on_answer(30, end + stamp, end + 7)
        assert each.has_arrived(end)
    assert not each.has_arrived(START + 900)
    assert not each.on_answer(30, START + 600 + stamp, START + 907)
    assert not each.has_arrived(START + 900)
    assert each.on_answer(30, START + 900 + stamp, START + 920)
    assert each.has_arrived(START + 900)


def test_rare_periods() -> None:
    """A series that is polled more often than it grows is not there yet only when its next period is due."""
    each = schedule()
    for end in range(int(START), int(START) + 12_000, 300):
        paid = (end - START) // 2400 * 2400 + START
        each.on_answer(30, paid, end + 7)
        assert each.has_arrived(end)
    assert not each.has_arrived(START + 12_000)


def test_a_wrong_expectation_is_given_up() -> None:
    """If what was expected never comes, the next answers are observed afresh."""
    each = schedule()
    for end in (START, END):
        each.on_answer(12, end, end + 7)
    assert not each.on_answer(2, END, END + 307)
    assert not each.has_arrived(END + 300)
    each.give_up()
    assert each.on_answer(3, END + 300, END + 607)  # from now on each period comes one later
    assert each.has_arrived(END + 600)
    assert each.on_answer(2, END + 600, END + 907)
    assert each.has_arrived(END + 900)


@pytest.mark.parametrize("stamp", [0.0, START + 100_000])
def test_unusable_times(stamp: float) -> None:
    """An answer without a period, or with one in the far future, is none."""
    each = schedule()
    assert not each.on_answer(30, stamp, START + 7)
    assert each.rows(START) == 12
