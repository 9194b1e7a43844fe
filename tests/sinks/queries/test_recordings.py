"""The queries and the book over real recordings, where they are available: spot and perpetual in the same minutes."""

import gzip
import heapq
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from schemas.events import TABLES
from schemas.raw import encode_line
from schemas.settings import load_settings
from sinks.directory import directory_of
from sinks.migrations import migrate
from sinks.sql.read_only import ReadOnlyConnection
from sinks.storage.embedded import EmbeddedStorage
from streams.levels import texts_of
from streams.raw_processor import RawProcessor
from tests.frames import T0, tick
from tests.sinks.queries import books, markets, trading
from tests.sinks.queries.books import Level, Replay
from tests.sinks.queries.exact import Data
from tests.sinks.queries.page import BOOK, ask, at, compare, queries, store
from tests.sinks.queries.registry import ANSWERS

FRAMES = Path(__file__).parents[4] / "shared" / "frames"
RECORDINGS = {"BTC-USDT": "binance-spot-btcusdt-20240808.gz", "BTC-USDT-PERP": "binance-usdm-btcusdt-20240808.gz"}
SECONDS = 80  # from the start of the recordings
LEVELS = 100
_ANSWERING = (books, markets, trading)  # importing them registers their answers

pytestmark = pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no recordings at {FRAMES}")


def lines() -> Iterator[tuple[int, bytes]]:
    """Return the raw lines of both recordings by time of receipt, with a tick every second."""

    def frames(symbol: str, name: str) -> Iterator[tuple[int, str, bytes]]:
        with gzip.open(FRAMES / name) as file:
            for row in file:
                stamp, _, frame = row.rstrip(b"\n").partition(b" ")
                yield int(stamp), f"binance:{symbol}", frame

    begin = due = 0
    for stamp, key, frame in heapq.merge(*(frames(*each) for each in RECORDINGS.items()), key=lambda each: each[0]):
        begin, due = begin or stamp, due or stamp
        if stamp > begin + SECONDS * 10**9:
            return
        while due <= stamp:
            yield due // 1_000, tick("binance", 0).replace(str(T0).encode(), str(due).encode())
            due += 10**9
        yield stamp // 1_000, encode_line(stamp, key, frame)


class Recorded:
    """The events of the recordings, and the best levels of the worker's own book at some of its times."""

    def __init__(self) -> None:
        self.data: Data = {table: [] for table in TABLES.values()}
        self.tops: dict[tuple[str, int], list[Level]] = {}
        self.now = 0
        worker = RawProcessor("binance", 0, load_settings())
        for offset, (stamp, line) in enumerate(lines()):
            if stamp != self.now and offset % 997 == 0:
                self._look(worker)
            self.now = stamp
            for topic, _, body in worker.process(offset, line).records:
                self.data[TABLES[topic]].append(orjson.loads(body))

    def _look(self, worker: RawProcessor) -> None:
        for symbol in RECORDINGS:
            entry = worker.entries.get(f"binance:{symbol}")
            if entry is not None and entry.books.order_book.state == "live":
                book = entry.books.order_book.book
                tops = {"ask": book.asks.top(LEVELS), "bid": book.bids.top(LEVELS)}
                self.tops[symbol, self.now] = [
                    (side, number, Decimal(price), Decimal(amount))
                    for side, top in tops.items()
                    for number, (price, amount) in enumerate(map(texts_of, top), 1)
                ]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, recorded: Recorded) -> Iterator[ReadOnlyConnection]:
    """Open a read-only client of a database that holds the events of the recordings."""
    settings = load_settings(clickhouse=f"chdb://{tmp_path_factory.mktemp('recorded')}/clickhouse", database="prism")
    storage = EmbeddedStorage(settings)
    migrate(storage, settings)
    store(storage, recorded.data)
    connection = ReadOnlyConnection(directory_of(settings), settings.database)
    yield connection
    connection.close()
    storage.close()


def test_answers_are_exact(client: ReadOnlyConnection, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every query gives the answer computed in decimals. The perpetual takes the place of the other exchange."""
    monkeypatch.setattr(trading, "OTHER", trading.PERP)
    answered = set()
    for heading, sql in queries().items():
        sql = sql.replace(
            "exchange = 'okx' AND symbol = 'BTC-USDT'", "exchange = 'binance' AND symbol = 'BTC-USDT-PERP'"
        )
        answer = ANSWERS[heading](recorded.data, recorded.now)
        compare(heading, ask(client, at(recorded.now, sql)), answer)
        answered |= {heading} if answer else set()
    assert answered >= {"VWAP", "Order flow", "Realised volatility", "Spread", "Imbalance", "Microprice", "Basis"}
    assert answered >= {
        "Cost and impact of trades",
        "Lead and lag",
        "Time with a live book",
        "Latency and age",
        "Duplicates",
    }


@pytest.mark.parametrize("symbol", RECORDINGS)
def test_the_book_is_that_of_the_worker(client: ReadOnlyConnection, recorded: Recorded, symbol: str) -> None:
    """`book_at` equals the events rebuilt in Python in all levels, and the worker's own book in the best hundred."""
    replay, compared = Replay(recorded.data, "binance", symbol), 0
    for (each, stamp), top in recorded.tops.items():
        if each == symbol:
            found = ask(client, BOOK.format("binance", symbol, stamp))
            assert found == replay.book(stamp), stamp
            assert [level for level in found if level[1] <= LEVELS] == top, stamp
            compared += 1
    assert compared > 10
