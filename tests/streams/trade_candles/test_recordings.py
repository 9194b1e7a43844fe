"""Candles of recorded trades equal an independent SQL query over the trades, where the recordings are available."""

import gzip
import heapq
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import orjson
import pytest

from schemas.intervals import length_of
from schemas.raw import encode_line
from schemas.settings import load_settings
from sinks.migrations import migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from streams.raw_processor import RawProcessor
from tests.frames import T0, tick

FRAMES = Path(__file__).parents[4] / "shared" / "frames"
RECORDINGS = {
    "BTC-USDT": "binance-spot-btcusdt-20240808.gz",
    "ETH-USDT": "binance-spot-ethusdt-20240808.gz",
    "BTC-USDT-PERP": "binance-usdm-btcusdt-20240808.gz",
    "ETH-USDT-PERP": "binance-usdm-ethusdt-20240808.gz",
}
TABLES = {"market.trades": "trades", "market.candles": "candles"}
TRADE = b'@trade"'
NS = 10**9
DAY = 86_400 * 10**6  # µs
# Until everything has closed: the rest of the day, and the grace.
AFTERWARDS = (1, 2, 3, 4, 90_000)

pytestmark = pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no recordings at {FRAMES}")


def trades_of(symbol: str, name: str) -> Iterator[tuple[int, str, bytes]]:
    with gzip.open(FRAMES / name) as file:
        for row in file:
            stamp, _, frame = row.rstrip(b"\n").partition(b" ")
            if TRADE in frame[:60]:
                yield int(stamp), f"binance:{symbol}", frame


def lines() -> Iterator[bytes]:
    """Return the trades of all recordings, with a tick every second."""
    due = stamp = 0
    for stamp, key, frame in heapq.merge(*(trades_of(*each) for each in RECORDINGS.items())):
        due = due or stamp
        while due <= stamp:
            yield tick_at(due)
            due += NS
        yield encode_line(stamp, key, frame)
    yield from (tick_at(stamp + seconds * NS) for seconds in AFTERWARDS)


def tick_at(stamp: int) -> bytes:
    return tick("binance", 0).replace(str(T0).encode(), str(stamp).encode())


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStorage]:
    """A database with the trades of the recordings and the candles made of them."""
    settings = load_settings(clickhouse=f"chdb://{tmp_path_factory.mktemp('candles')}/clickhouse", database="prism")
    storage = EmbeddedStorage(settings)
    migrate(storage, settings)
    worker, values = RawProcessor("binance", 0, settings), dict[str, list[bytes]]()
    for offset, line in enumerate(lines()):
        for topic, _, body in worker.process(offset, line).records:
            values.setdefault(topic, []).append(body)
    for topic, table in TABLES.items():
        store(storage, table, values[topic])
    late = [orjson.loads(value).get("late") for value in values.get("market.quality", [])]
    assert not any(late)
    yield storage
    storage.close()


def store(storage: EmbeddedStorage, table: str, values: list[bytes]) -> None:
    """Store events as the sink does, each block of one day of receipt."""
    for day, events in groupby(enumerate(values), key=lambda each: orjson.loads(each[1])["local_timestamp"] // DAY):
        offsets, part = zip(*events, strict=True)
        assert storage.insert(f"prism.{table}", Block(0, list(part), list(offsets)), f"{table}{day}") is None


FIGURES = (
    "open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume",
)  # fmt: skip


def rows(storage: EmbeddedStorage, query: str) -> list[list[object]]:
    texts = ", ".join(f"toString({name})" for name in FIGURES)
    found = storage.query(f"SELECT symbol, toUnixTimestamp64Micro(start), trades, {texts} FROM ({query}) ORDER BY ALL")
    return [[*row[:3], *map(Decimal, row[3:])] for row in found]


@pytest.mark.parametrize("interval", load_settings().candle_intervals)
def test_candles_equal_the_trades(storage: EmbeddedStorage, interval: str) -> None:
    """To the last digit, for every interval, each closed exactly once."""
    seconds = length_of(interval) // 1_000_000
    closed = f"SELECT * FROM prism.candles WHERE origin = 'trades' AND interval = '{interval}' AND closed"
    expected = f"""
        SELECT
            symbol,
            toDateTime64(toStartOfInterval(timestamp, toIntervalSecond({seconds})), 6, 'UTC') AS start,
            argMin(price, (timestamp, toInt64(id))) AS open, max(price) AS high, min(price) AS low,
            argMax(price, (timestamp, toInt64(id))) AS close,
            sum(amount) AS volume, sum(price * amount) AS quote_volume, count() AS trades,
            sumIf(amount, side = 'buy') AS taker_buy_volume,
            sumIf(price * amount, side = 'buy') AS taker_buy_quote_volume
        FROM prism.trades
        WHERE on_book
        GROUP BY symbol, start"""
    found = rows(storage, closed)
    assert found == rows(storage, expected)
    assert len(found) >= len(RECORDINGS)


def test_candles_of_a_second_are_many(storage: EmbeddedStorage) -> None:
    """The recordings cover more than five minutes of each instrument, nearly every second of which has trades."""
    query = "SELECT count() FROM prism.candles WHERE origin = 'trades' AND interval = '1s' AND closed AND complete"
    assert storage.query(query)[0][0] > 1_200
