"""Public data files are found, checked, and read to the events that are missing."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web

from ingest.exchanges import CONNECTORS
from ingest.rest import RestPool
from marketprism.backfill import download
from marketprism.backfill.download import Downloads
from marketprism.backfill.file_names import data_files
from marketprism.backfill.file_pages import FilePages
from marketprism.backfill.holes import Span
from marketprism.backfill.job import Job
from marketprism.backfill.sources import file_sources
from schemas.errors import ExchangeError, SettingsError
from schemas.instruments import instrument_of_key
from schemas.intervals import end_of
from tests.backfill.pasts import HOUR, MemoryTables, events_of
from tests.ingest.rigs import uplinks_to

DAY = 24 * HOUR
BEGIN = 1_767_225_600_000_000  # µs: 2026-01-01
SPOT, SWAP = (instrument_of_key(f"binance:{symbol}") for symbol in ("BTC-USDT", "BTC-USDT-PERP"))
TRADES = "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2026-01-{:02}.zip"


class Host:
    """A host of files, with their hashes. `asked`: paths that were requested."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.address = ""

    def add(self, path: str, *lines: str) -> None:
        """Offer a zip file with these lines."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.rpartition("/")[2].replace(".zip", ".csv"), "".join(f"{line}\n" for line in lines))
        self.files[path] = packed.getvalue()
        digest = hashlib.sha256(packed.getvalue()).hexdigest()
        self.files[f"{path}.CHECKSUM"] = f"{digest}  {path.rpartition('/')[2]}\n".encode()

    async def answer(self, request: web.Request) -> web.Response:
        if not request.path.endswith(".CHECKSUM"):
            self.asked.append(request.path)
        found = self.files.get(request.path)
        return web.Response(status=404) if found is None else web.Response(body=found)


@pytest.fixture
async def host(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr(download, "_LONGEST_WAIT", 0.0)
    made, app = Host(), web.Application()
    app.router.add_get("/{tail:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


async def read(host: Host, job: Job, data: str, tables: MemoryTables, stop_after: int = 1 << 30) -> FilePages:
    """Fill the tables from the files. Stop after some pages, as if killed."""
    async with RestPool() as pool:
        downloads = Downloads(uplinks_to(host.address.rstrip("/")), pool)
        files = FilePages(downloads, job, data, tables)
        count = 0
        async for page in files.pages(Span(job.begin, job.end)):
            tables.events += [event for topic, event in events_of(job, "any", page) if topic == job.topic]
            count += 1
            if count == stop_after:
                break
    return files


def spot_trades(first: int, day: int, count: int = 24) -> list[str]:
    """Return lines of spot trades, evenly over a day, in µs and without a header."""
    begin = BEGIN + (day - 1) * DAY
    return [
        f"{first + n},100.5,2,201,{begin + n * DAY // count},{'True' if n % 2 else 'False'},True" for n in range(count)
    ]


async def test_trades_of_days(host: Host) -> None:
    """Trades of the range alone are published; what is stored is neither read nor published again."""
    for day in (1, 2, 3):
        host.add(TRADES.format(day), *spot_trades(1000 + 24 * day, day))
    job, tables = Job(SPOT, "trades", "1m", BEGIN + 6 * HOUR, BEGIN + 3 * DAY), MemoryTables()
    await read(host, job, "trades", tables, stop_after=2)
    await read(host, job, "trades", tables)
    assert [int(event["id"]) for event in tables.events] == list(range(1030, 1096))
    first = tables.events[0]
    assert (first["timestamp"], first["price"], first["amount"], first["side"]) == (
        BEGIN + 6 * HOUR,
        "100.5",
        "2",
        "buy",
    )
    assert tables.events[1]["side"] == "sell"
    host.asked.clear()
    await read(host, job, "trades", tables)
    assert len(tables.events) == 66
    assert host.asked == [TRADES.format(1), TRADES.format(3)]  # the second day is certain to be complete


async def test_klines_of_futures(host: Host) -> None:
    """Futures' files have a header and times in ms. A month's file is read where the whole month is wanted."""
    path = "/data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2026-01.zip"
    header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,ignore,ignore"
    starts = [BEGIN + n * HOUR for n in range(31 * 24)]
    host.add(path, header, *(f"{at // 1000},10,12,9,11,3,{(at + HOUR) // 1000 - 1},33,7,2,22,0" for at in starts))
    job, tables = Job(SWAP, "candles", "1h", BEGIN, BEGIN + 31 * DAY), MemoryTables()
    for _ in range(2):
        await read(host, job, "klines", tables)
        assert [event["start"] for event in tables.events] == starts
        assert host.asked == [path]
    assert (tables.events[0]["close"], tables.events[0]["trades"], tables.events[0]["closed"]) == ("11", 7, True)


def kline(start: int, interval: str) -> str:
    return f"{start},10,12,9,11,3,{end_of(start, interval) - 1},33,7,2,22,0"


async def read_candles(host: Host, job: Job, tables: MemoryTables) -> None:
    """Fill the tables as the command does."""
    async with RestPool() as pool:
        downloads = Downloads(uplinks_to(host.address.rstrip("/")), pool)
        [source] = file_sources(CONNECTORS["binance-spot"](["candles"]), downloads, job, tables)
        async for page in source.pages:
            tables.events += [event for _, event in events_of(job, source.channel, page)]


@pytest.mark.parametrize(
    ("interval", "name", "starts", "length"),
    [
        ("1w", "1w", [BEGIN + days * DAY for days in (4, 11, 18, 25, 32, 39)], 46),  # from Monday 2026-01-05 on
        ("1w", "1w", [BEGIN + 4 * DAY], 11),
        ("3d", "3d", [BEGIN + days * DAY for days in range(1, 58, 3)], 59),
        ("1M", "1mo", [BEGIN, BEGIN + 31 * DAY], 59),
        ("1M", "1mo", [BEGIN], 31),
    ],
)
async def test_klines_of_weeks_and_months(host: Host, interval: str, name: str, starts: list[int], length: int) -> None:
    """Each candle that is wholly in the range arrives, from the files of the months, and is not asked for again."""
    for month, begin, end in (("2026-01", BEGIN, BEGIN + 31 * DAY), ("2026-02", BEGIN + 31 * DAY, BEGIN + 59 * DAY)):
        lines = [kline(at, interval) for at in starts if begin <= at < end]
        host.add(f"/data/spot/monthly/klines/BTCUSDT/{name}/BTCUSDT-{name}-{month}.zip", *lines)
    job, tables = Job(SPOT, "candles", interval, min(starts), BEGIN + length * DAY), MemoryTables()
    await read_candles(host, job, tables)
    assert [(event["start"], event["interval"]) for event in tables.events] == [(at, interval) for at in starts]
    assert len(host.asked) == len({at >= BEGIN + 31 * DAY for at in starts})
    await read_candles(host, job, tables)
    assert len(tables.events) == len(starts)


async def test_complete_weeks_are_not_read_again(host: Host) -> None:
    """A month that does not begin with a week is complete without that week."""
    path, starts = "/data/spot/monthly/klines/BTCUSDT/1w/BTCUSDT-1w-2026-01.zip", range(4, 31, 7)
    host.add(path, *(kline(BEGIN + days * DAY, "1w") for days in starts))
    job, tables = Job(SPOT, "candles", "1w", BEGIN, BEGIN + 32 * DAY), MemoryTables()
    for _ in range(2):
        await read_candles(host, job, tables)
        assert len(tables.events) == 4
        assert host.asked == [path]


def test_intervals_of_files() -> None:
    """An interval that Binance does not have is an error, which says what there is."""
    job, connector = Job(SPOT, "candles", "10m", BEGIN, BEGIN + DAY), CONNECTORS["binance-spot"](["candles"])
    with pytest.raises(SettingsError, match="binance-spot has no candles of 10m; it has: 1s, 1m"):
        file_sources(connector, None, job, MemoryTables())  # type: ignore[arg-type]


async def test_days_in_place_of_a_month(host: Host) -> None:
    """Where a month's file is missing, those of its days are read; a missing day is named, and costs only itself."""
    for day in (1, 3):
        host.add(TRADES.format(day), *spot_trades(100 * day, day))
    job, tables = Job(SPOT, "trades", "1m", BEGIN, BEGIN + 31 * DAY), MemoryTables()
    files = await read(host, job, "trades", tables)
    assert len(tables.events) == 48
    assert TRADES.format(2) in files.missing
    assert len(files.missing) == 29


async def test_aggregated_trades(host: Host) -> None:
    """Aggregated trades have ids of their own."""
    path = "/data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-01-01.zip"
    host.add(path, "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
             f"7,100,0.5,70,72,{BEGIN // 1000},true")  # fmt: skip
    tables = MemoryTables()
    await read(host, Job(SWAP, "trades", "1m", BEGIN, BEGIN + DAY), "aggTrades", tables)
    [event] = tables.events
    assert (event["id"], event["side"], event["timestamp"]) == ("7", "sell", BEGIN)


@pytest.mark.parametrize("damage", ["hash", "content", "not a hash", "not a zip"])
async def test_damaged_files(host: Host, damage: str) -> None:
    """A file that is not the published one is tried again, and then an error; nothing of it is published."""
    path = TRADES.format(1)
    host.add(path, *spot_trades(1, 1))
    if damage == "content":
        host.files[path] = host.files[path][:-5]
    elif damage == "hash":
        host.files[f"{path}.CHECKSUM"] = b"0" * 64
    elif damage == "not a hash":
        host.files[f"{path}.CHECKSUM"] = b"<html>"
    else:
        host.files[path] = b"not a zip"
        host.files[f"{path}.CHECKSUM"] = hashlib.sha256(b"not a zip").hexdigest().encode()
    tables = MemoryTables()
    with pytest.raises(ExchangeError, match="zip"):
        await read(host, Job(SPOT, "trades", "1m", BEGIN, BEGIN + DAY), "trades", tables)
    assert tables.events == []


def test_large_files_are_read_in_parts() -> None:
    """No page has more lines than can be kept as one raw line."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.csv", "".join(f"{number},{'1' * 150}\r\n" for number in range(12_000)))
    parts = list(download.lines_of(packed, "x"))
    assert [line for part in parts for line in part] == [f"{number},{'1' * 150}" for number in range(12_000)]
    assert all(len(part) <= 5_000 and sum(map(len, part)) < 500_000 for part in parts)
    assert len(parts) > 3


def test_names_of_files() -> None:
    """Whole months that have ended days ago are one file, other days one each."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    span = Span(BEGIN - DAY, BEGIN + 59 * DAY)  # from 2025-12-31 to the end of February
    files = list(data_files("binance-coinm", "klines", "BTCUSD_PERP", "1m", span, now))
    names = [file.path.rpartition("/")[2] for file in files]
    assert names[:2] == ["BTCUSD_PERP-1m-2025-12-31.zip", "BTCUSD_PERP-1m-2026-01.zip"]
    assert names[2:] == [f"BTCUSD_PERP-1m-2026-02-{day:02}.zip" for day in range(1, 29)]
    assert files[1].path == "/data/futures/cm/monthly/klines/BTCUSD_PERP/1m/BTCUSD_PERP-1m-2026-01.zip"
    assert len(files[1].days) == 31
    assert files[1].span == Span(BEGIN, BEGIN + 31 * DAY)
