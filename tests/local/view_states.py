"""A fixed state of the live view, with 60 instruments, for the tests of its panels."""

from dataclasses import replace
from pathlib import Path

from marketprism.local.disk import DiskMonitor
from marketprism.local.polled_value import Reading
from marketprism.local.processes import Child, ChildStatus, State, says
from marketprism.local.view import ViewState
from marketprism.ops.lag import Lag
from marketprism.ops.latest_quotes import LatestQuote, Price
from marketprism.ops.raw_topic_stats import RawStats
from marketprism.ops.table_stats import Opportunity, TableStats
from schemas.events import EVENTS, TABLES
from schemas.feeds import FEEDS, feed_of
from schemas.settings import load_settings
from schemas.topics import SINK_GROUP, WORKER_GROUP

NOW = 1_795_661_500_000_000
_BASES = {"BTC": "86731.74", "ETH": "3120.18", "SOL": "212.4500", "DOGE": "0.31415", "SHIB": "0.000008140"}
_SPOT = [(exchange, f"{base}-USDT") for base in _BASES for exchange in ("binance", "okx", "htx")]
_PERP = [(exchange, f"{base}-USDT-PERP") for base in _BASES for exchange in ("binance", "okx", "htx")]
_INVERSE = [(exchange, f"{base}-USD-PERP") for base in ("BTC", "ETH") for exchange in ("binance", "okx", "deribit")]
_OPTIONS = [
    (exchange, f"BTC-USD-270625-{strike}-{side}")
    for exchange in ("okx", "deribit")
    for strike in range(70_000, 100_000, 5_000)
    for side in "CP"
]
INSTRUMENTS = [*_SPOT, *_PERP, *_INVERSE, *_OPTIONS]
_CHILDREN = ("kafka", "sink", "worker", "simulator", "ingest")


def view_state() -> ViewState:
    """Return a state in which most is well."""
    return ViewState(
        "demo",
        load_settings(),
        NOW,
        _raw_stats(),
        [child(name) for name in _CHILDREN],
        Reading(_lag()),
        Reading(_table_stats()),
        [_quote(number, *each) for number, each in enumerate(INSTRUMENTS)],
        {feed: 100 * 3.7**number for number, feed in enumerate(FEEDS)},
        DiskMonitor(Path.cwd(), 0),
    )


def troubled_state() -> ViewState:
    """Return a state in which much is wrong."""
    state = view_state()
    state.disk.state, state.disk.free = "low", 400_000_000
    raw_stats = replace(
        state.raw_stats,
        subscriptions=state.raw_stats.subscriptions | {"okx": 0, "deribit": 0},
        by_rest={"deribit": state.raw_stats.instruments["deribit"]},
        received_at=state.raw_stats.received_at | {"htx-spot": NOW - 5_000_000_000},
    )
    lag = replace(_lag(), seconds_by_group={WORKER_GROUP: 47.0, SINK_GROUP: 5400.0}, records={"dead_letters": 12_345})
    return replace(
        state,
        raw_stats=raw_stats,
        statuses=[
            *state.statuses[:-3],
            child("worker", "restarting", 3),
            child("simulator"),
            child("ingest", "starting"),
        ],
        lag=Reading(lag, 12.0),
        quotes=[replace(each, is_by_rest=each.exchange == "deribit") for each in state.quotes],
        note="replayed 45%  1,234,567 frames at 98,765/s",
    )


def child(name: str, state: State = "running", restarts: int = 0) -> ChildStatus:
    """Return the status of a process that was never started."""
    return ChildStatus(Child(name, [], Path("log"), says("")), state, restarts)


def _quote(number: int, exchange: str, symbol: str) -> LatestQuote:
    base = symbol.split("-")[0]
    text = "0.1542" if symbol[-2:] in ("-C", "-P") else _BASES[base]
    bid = _plus(text, 7 * number % 11)
    received_at = NOW - 1000 * (17 * number % 900) - (45_000_000 if number == 8 else 0)
    return LatestQuote(
        exchange,
        symbol,
        received_at,
        Price(bid, str(0.0123 * 3 ** (number % 20)), 1 - 2 * (number % 2), NOW - 1_000_000)
        if number != 20
        else Price(),
        Price(_plus(bid, 1 + number % 3), "0.637638178960707421"),
    )


def _plus(text: str, steps: int) -> str:
    """Return a decimal that is greater by some units of its last digit."""
    whole, _, fraction = text.partition(".")
    digits = str(int(whole + fraction) + steps).zfill(len(whole + fraction))
    return f"{digits[: len(whole)]}.{digits[len(whole) :]}"


def _raw_stats() -> RawStats:
    instruments = dict.fromkeys(FEEDS, 0)
    for each in INSTRUMENTS:
        instruments[feed_of(*each).name] += 1
    return RawStats(
        {feed: 12 * 31**number for number, feed in enumerate(FEEDS)} | {"htx": 1},
        instruments,
        dict.fromkeys(FEEDS, 5),
        {feed: NOW - 10_000 * 3**number for number, feed in enumerate(FEEDS)},
        NOW,
        0.2,
    )


def _lag() -> Lag:
    return Lag(
        {name: 7 * 13**number % 2_000_000_000 for number, name in enumerate(EVENTS)} | {"dead_letters": 0},
        {WORKER_GROUP: 120, SINK_GROUP: 3456},
        {"raw.okx": 5},
        {WORKER_GROUP: 0.35, SINK_GROUP: 7.2},
        {"raw.okx": 0.35, "market.books": 7.2},
    )


def _table_stats() -> TableStats:
    rows = {table: 5 * 11**number % 1_000_000_000 for number, table in enumerate(TABLES.values())}
    return TableStats(
        rows | {"dead_letters": 0},
        dict.fromkeys(FEEDS, 2),
        [_opportunity(number) for number in range(14)],
        {"opened": 1214, "closed": 1212},
        NOW - 1_000_000,
    )


def _opportunity(number: int) -> Opportunity:
    exchanges = ("binance", "okx", "htx", "deribit")
    reasons = ("spread_gone", "quote_too_old", "book_not_live", "implausible")
    return Opportunity(
        ("ETH-USD-PERP", "BTC-USDT-PERP", "SHIB-USDT")[number % 3],
        exchanges[number % 4],
        exchanges[(number + 1) % 4],
        "" if number < 2 else reasons[number % 4],
        3.21 * 1.5**number,
        4.56 * 1.5**number,
        0.0123 * 7.7**number,
        NOW - 3_500_000 * (number + 1),
        21_000 * 3**number,
    )
