"""An ingest that died, one that was only held up, and a clock that was set back."""

from schemas.instruments import assumed_instrument
from schemas.markers import Tick
from schemas.raw import encode_marker
from schemas.settings import load_settings
from streams.instrument_processor import InstrumentProcessor
from streams.output import Output
from streams.packing import pack, unpack
from tests.frames import T0, binance, line, marker
from tests.streams.helpers import Found, bodies, run

KEY = "binance:BTC-USDT"
PERP = "binance:BTC-USDT-PERP"
BID, ASK = [["10", "1"]], [["11", "1"]]


def tick(millis: float, *feeds: str) -> bytes:
    return encode_marker(T0 + int(millis * 1e6), "binance:*", Tick(feeds=list(feeds)))


def connected(key: str = KEY) -> bytes:
    both = marker(key, "connected", 0) + marker(key, "subscribed", 0, channels=["trades", "books", "quotes"])
    return both + line(key, binance.trade(t=1), 100)


def live() -> bytes:
    return connected() + line(KEY, binance.depth(100, 101, [], []), 200) + line(KEY, binance.snapshot(100, BID, ASK))


def gaps(found: Found) -> list[tuple[str, str, str]]:
    return [(gap["type"], gap["channel"], gap["cause"]) for gap in bodies(found, "market.gaps")]


ABSENT = [("opened", "books", "absent"), ("opened", "trades", "absent")]


def test_an_ingest_that_died_is_noticed() -> None:
    """A witness's ticks go on. Within seconds every channel has a gap, which begins at its last frame."""
    found = run("binance", live(), tick(1_000, "binance-spot"), *(tick(2_000 + 1_000 * each) for each in range(6)))
    assert gaps(found) == ABSENT
    books, trades = bodies(found, "market.gaps")
    assert (books["since"], trades["since"]) == ((T0 + 200_000_000) // 1000, (T0 + 100_000_000) // 1000)
    assert books["local_timestamp"] == (T0 + 6_000_000_000) // 1000
    [status] = [each for each in bodies(found, "market.status") if each["type"] == "absent"]
    assert (status["channels"], status["age"]) == (["books", "quotes", "trades"], 5_000_000)


def test_another_ingest_of_the_exchange_is_a_witness() -> None:
    """Only the feeds of the dead ingest are absent."""
    records = [connected(PERP), live(), tick(1_000, "binance-usdm", "binance-spot")]
    found = run("binance", *records, *(tick(1_000 * each, "binance-usdm") for each in range(2, 9)))
    assert {gap["symbol"] for gap in bodies(found, "market.gaps")} == {"BTC-USDT"}
    assert gaps(found) == ABSENT


def test_a_successor_closes_the_gaps() -> None:
    """The books' gap closes with their snapshot, the trades' once they are subscribed again."""
    found = run(
        "binance", live(), tick(1_000, "binance-spot"), *(tick(1_000 * each) for each in range(2, 8)),
        tick(8_000, "binance-spot") + marker(KEY, "connected", 8_100),
        marker(KEY, "subscribed", 8_200, channels=["trades", "books"])
        + line(KEY, binance.depth(200, 201, [], []), 8_300) + line(KEY, binance.snapshot(200, BID, ASK), 8_400),
    )  # fmt: skip
    assert gaps(found) == [*ABSENT, ("closed", "trades", "absent"), ("closed", "books", "absent")]
    assert [gap["duration"] for gap in bodies(found, "market.gaps")][2:] == [8_100_000, 8_200_000]


def test_a_quick_successor_reveals_the_death() -> None:
    """If a channel is connected again without having been disconnected, its ingest has died."""
    found = run("binance", live(), tick(1_000, "binance-spot") + marker(KEY, "connected", 1_500))
    assert gaps(found) == ABSENT


def test_an_ingest_that_was_held_up_goes_on() -> None:
    """It lost nothing. The next update makes the book live again, and the next trade ends the outage."""
    found = run(
        "binance", live(), tick(1_000, "binance-spot"), *(tick(1_000 * each) for each in range(2, 8)),
        line(KEY, binance.depth(102, 102, [], []), 8_000) + line(KEY, binance.trade(t=2), 8_001),
        tick(8_500, "binance-spot"),
    )  # fmt: skip
    assert gaps(found) == [*ABSENT, ("closed", "books", "absent"), ("closed", "trades", "absent")]
    assert [each["type"] for each in bodies(found, "market.status")][-1] == "returned"


def test_a_shutdown_is_not_an_absence() -> None:
    """A channel that was disconnected properly has its gap already."""
    end = marker(KEY, "disconnected", 900, reason="shutdown")
    found = run("binance", live(), tick(800, "binance-spot") + end, *(tick(1_000 * each) for each in range(1, 9)))
    assert {cause for _, _, cause in gaps(found)} == {"disconnected"}


def test_a_clock_that_is_set_back() -> None:
    """Reports and snapshots go on at their intervals, and the step is reported."""
    before = [tick(1_000 * each, "binance-spot") for each in range(100, 131)]
    after = [tick(1_000 * each, "binance-spot") for each in range(11, 80)]
    found = run("binance", live(), *before, *after)
    steps = [each for each in bodies(found, "market.status") if each["type"] == "clock_stepped"]
    assert len(steps) == 1
    late = [each for each in bodies(found, "market.status") if each["type"] == "report"][-1]
    assert late["local_timestamp"] > (T0 + 65_000_000_000) // 1000
    assert gaps(found) == []


def test_a_book_is_stale_by_its_own_silence() -> None:
    """Trades do not keep a book live whose own channel has been silent for minutes."""
    trades = [tick(1_000 * each, "binance-spot") + line(KEY, binance.trade(t=each), 1_000 * each)
              for each in range(2, 90)]  # fmt: skip
    found = run("binance", live(), *trades, line(KEY, binance.quote(500, "10", "1", "11", "1"), 90_000))
    assert len(bodies(found, "market.quotes")[-1]["bids"]) == 1
    back = run("binance", live(), *trades, line(KEY, binance.depth(102, 102, [["10", "3"]], []), 90_000))
    assert bodies(back, "market.quotes")[-1]["bids"] == [["10", "3"]]


STOP = marker(KEY, "stopped", 1_500, channels=["trades", "books", "quotes"])


def test_a_clean_stop_opens_no_gaps() -> None:
    """While nobody is meant to ingest, nothing is missing. The book is not live any more."""
    witness = [tick(2_000 + 1_000 * each) for each in range(60)]
    found = run("binance", live(), tick(1_000, "binance-spot"), STOP, *witness)
    assert gaps(found) == []
    kinds = [each["type"] for each in bodies(found, "market.status") if each["type"] != "report"]
    assert kinds == ["connected", "subscribed", "stopped"]
    assert bodies(found, "market.books") == bodies(run("binance", live()), "market.books")


def test_of_two_ingests_one_is_stopped_and_the_other_is_killed() -> None:
    """The other's updates make the book live again without a snapshot, and its death is an absence like any."""
    other = line(KEY, binance.depth(102, 103, [["10", "2"]], []), 1_600) + line(KEY, binance.trade(t=2), 1_700)
    witness = [tick(3_000 + 1_000 * each) for each in range(6)]
    found = run("binance", live(), tick(1_000, "binance-spot"), STOP, other, tick(2_000, "binance-spot"), *witness)
    assert bodies(found, "market.books")[-1]["type"] == "update"
    assert gaps(found) == ABSENT
    books, trades = bodies(found, "market.gaps")
    assert (books["since"], trades["since"]) == ((T0 + 1_600_000_000) // 1000, (T0 + 1_700_000_000) // 1000)
    changes = [(each["type"], each["channels"]) for each in bodies(found, "market.status") if each["type"] != "report"]
    assert changes[-2:] == [("resumed", ["books", "trades"]), ("absent", ["books", "trades"])]


def test_what_does_not_follow_after_a_stop_is_a_gap() -> None:
    """An update of another ingest that does not continue the book proves that some are missing."""
    found = run("binance", live(), STOP, line(KEY, binance.depth(110, 111, [["10", "2"]], []), 1_600))
    assert gaps(found) == [("opened", "books", "sequence")]


def test_what_a_stop_missed_is_a_gap_once_ingest_runs_again() -> None:
    """The gaps begin at the last frames before the stop, and close as after any outage."""
    again = marker(KEY, "connected", 60_000) + marker(KEY, "subscribed", 60_100, channels=["trades", "books"])
    seed = line(KEY, binance.depth(200, 201, [], []), 60_300) + line(KEY, binance.snapshot(200, BID, ASK), 60_400)
    found = run("binance", live(), STOP, again, seed)
    assert gaps(found) == [
        ("opened", "books", "stopped"), ("opened", "trades", "stopped"),
        ("closed", "trades", "stopped"), ("closed", "books", "stopped"),
    ]  # fmt: skip
    since = {gap["channel"]: gap["since"] for gap in bodies(found, "market.gaps")}
    assert since == {"books": (T0 + 200_000_000) // 1000, "trades": (T0 + 100_000_000) // 1000}


def test_a_book_that_was_not_live_at_a_stop_misses_nothing_new() -> None:
    """No gap opens for a book that never was live."""
    found = run("binance", connected(), STOP, marker(KEY, "connected", 60_000, channels=["books", "quotes"]))
    assert gaps(found) == []


def test_a_stop_outlives_a_restart_of_the_worker() -> None:
    """A checkpoint between stop and start does not forget what is missing."""
    processor = InstrumentProcessor(assumed_instrument("binance-spot", "binance", "BTC-USDT"), load_settings())
    processor.status.stopped, processor.books.is_stopped = {"books": 7}, True
    loaded = InstrumentProcessor.load(processor.dump(), load_settings())
    assert (loaded.status.stopped, loaded.books.is_stopped) == ({"books": 7}, True)


def test_a_checkpoint_without_stops() -> None:
    """Earlier versions knew none."""
    processor = InstrumentProcessor(assumed_instrument("binance-spot", "binance", "BTC-USDT"), load_settings())
    state = unpack(processor.dump())
    del state["status"]["stopped_after"], state["books"]["is_stopped"]
    loaded = InstrumentProcessor.load(pack(state), load_settings())
    assert (loaded.status.stopped, loaded.books.is_stopped) == ({}, False)


def test_a_clock_that_is_set_back_after_a_stop_delivers_nothing() -> None:
    """The remembered times shift together, so a stopped channel does not count as delivered."""
    processor = InstrumentProcessor(assumed_instrument("binance-spot", "binance", "BTC-USDT"), load_settings())
    processor.status.health_of("trades").on_message(T0, T0)
    processor.status.on_stopped(["trades", "books"])
    processor.status.shift(-10_000_000)
    processor.status.on_second(Output(1))
    assert processor.status.up == set()
