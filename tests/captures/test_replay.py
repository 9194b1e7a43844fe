"""Record captures, and replay them into the raw topics."""

import asyncio
import gzip
import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
import zstandard

from marketprism.captures.capture import open_capture
from marketprism.captures.record import record
from marketprism.captures.replay import ReplaySummary, replay
from marketprism.ops.topics import create_topics
from marketprism.simulator import Simulators
from schemas.errors import RawRecordError, SettingsError, StackError
from schemas.feeds import FEEDS
from schemas.instruments import Instrument
from schemas.markers import MARKER, Definition, Lost, Tick
from schemas.raw import RawLine, encode_line, encode_marker
from schemas.settings import Settings, load_settings
from tests.ingest.reading import ingesting, kinds, read_lines, read_records, until

SPOT, USDM, OKX = FEEDS["binance-spot"], FEEDS["binance-usdm"], FEEDS["okx"]
T0 = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
FRAMES = Path(__file__).parents[3] / "shared" / "frames"


def trade(symbol: str, number: int) -> bytes:
    body = {"e": "trade", "s": symbol, "t": number, "p": "1.0", "q": "2.0", "T": T0 // 10**6, "m": True}
    return orjson.dumps({"stream": f"{symbol.lower()}@trade", "data": body})


def collected(path: Path, rows: list[tuple[int, bytes]]) -> Path:
    """Write a file like those of the hftbacktest collector."""
    with gzip.open(path, "wb") as file:
        file.writelines(b"%d %s\n" % row for row in rows)
    return path


def compressed(content: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(content)
    return zstandard.compress(content) if suffix == ".zst" else content


async def fresh(settings: Settings) -> Settings:
    """Create new topics on the same broker."""
    made = load_settings(**settings.model_dump() | {"topic_prefix": f"t{uuid4().hex[:8]}."})
    await create_topics(made)
    return made


def frames(lines: list[RawLine]) -> list[bytes]:
    return [line.frame for line in lines if not line.frame.startswith(MARKER)]


async def test_merged_by_receipt_time(settings: Settings, tmp_path: Path) -> None:
    """Two feeds of one exchange are merged by receipt time, each instrument with definition, connection and frames."""
    spot = collected(tmp_path / "spot.gz", [(T0 + n * 2_000_000, trade("BTCUSDT", n)) for n in range(500)])
    usdm = collected(tmp_path / "usdm.gz", [(T0 + n * 2_000_000 + 1, trade("BTCUSDT", n)) for n in range(500)])
    summary = await replay(settings, [(SPOT, spot), (USDM, usdm)])
    assert (summary.frames, summary.control) == (1000, 0)
    lines = await read_lines(settings, "binance")
    for key in ("binance:BTC-USDT", "binance:BTC-USDT-PERP"):
        assert kinds(lines[key])[:3] == ["instrument", "connected", "subscribed"]
        assert frames(lines[key]) == [trade("BTCUSDT", n) for n in range(500)]
    for records in (await read_records(settings, "binance")).values():
        stamps = [int(line.split(b"\t")[0]) for _, value in records for line in value.splitlines()]
        assert stamps == sorted(stamps)


async def test_ticks(settings: Settings, tmp_path: Path) -> None:
    """Every partition gets ticks every second, shortened in long holes, and one tick 11 s after the last line."""
    at = [T0 + 100, T0 + 3 * SECOND + 5, T0 + 86_400 * SECOND]
    path = collected(tmp_path / "spot.gz", [(stamp, trade("BTCUSDT", n)) for n, stamp in enumerate(at)])
    await replay(settings, [(SPOT, path)])
    expected = [0, 1, 2, 3, *range(4, 14), 86_400, 86_411]
    for records in (await read_records(settings, "binance")).values():
        ticks = [line for _, value in records for line in value.splitlines() if b'"tick"' in line]
        assert [(int(tick.split(b"\t")[0]) - T0) // SECOND for tick in ticks] == expected


async def test_snapshot_without_a_symbol(settings: Settings, tmp_path: Path) -> None:
    """A snapshot at the beginning of a file belongs to the file's instrument."""
    snapshot = b'{"lastUpdateId":7,"bids":[["1","1"]],"asks":[["2","1"]]}'
    path = collected(tmp_path / "eth.gz", [(T0, snapshot), (T0 + 1, trade("ETHUSDT", 1))])
    await replay(settings, [(USDM, path)])
    lines = (await read_lines(settings, "binance"))["binance:ETH-USDT-PERP"]
    assert frames(lines) == [snapshot, trade("ETHUSDT", 1)]


def test_a_recorded_listing_resolves_names(tmp_path: Path) -> None:
    """Ambiguous names are resolved by the listing in the recording, if it contains one."""
    listing = {
        "serverTime": 1, "symbols": [
            {"symbol": "GALAEUR", "baseAsset": "GALA", "quoteAsset": "EUR"}, {"symbol": "X"}, 7,
            {"symbol": "NEWXYZ", "baseAsset": "NEW", "quoteAsset": "XYZ"},
        ],
    }  # fmt: skip
    rows = [(number, trade(name, 1)) for number, name in enumerate(("GALAEUR", "NEWXYZ", "ARBUSD"), 2)]
    with_listing = collected(tmp_path / "with", [(1, orjson.dumps(listing)), *rows])
    keys = [line.key for line in open_capture(FEEDS["binance-spot"], with_listing).lines()]
    assert keys == ["binance:?", "binance:GALA-EUR", "binance:NEW-XYZ", "binance:?"]
    without = collected(tmp_path / "without", rows)
    assert {line.key for line in open_capture(FEEDS["binance-spot"], without).lines()} == {"binance:?"}


async def test_control_frames_are_left_out(settings: Settings, tmp_path: Path) -> None:
    """Acknowledgements and pongs are counted and left out. Malformed frames are kept under the unknown key."""
    data = b'{"arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"data":[{}]}'
    rows = [b'{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"}}', b"pong", data, b"malformed"]
    path = collected(tmp_path / "okx.gz", [(T0 + n, row) for n, row in enumerate(rows)])
    summary = await replay(settings, [(OKX, path)])
    assert (summary.frames, summary.control) == (2, 2)
    lines = await read_lines(settings, "okx")
    assert frames(lines["okx:BTC-USDT-PERP"]) == [data]
    assert frames(lines["okx:?"]) == [b"malformed"]


async def test_deterministic(settings: Settings, tmp_path: Path) -> None:
    """At full speed, the same files produce byte-identical records at the same offsets."""
    names = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    rows = [(T0 + n * 7_000_000, trade(names[n * n % 3], n) + b" " * (n % 900)) for n in range(20_000)]
    path = collected(tmp_path / "spot.gz", rows)
    first, second = await fresh(settings), await fresh(settings)
    await replay(first, [(SPOT, path)])
    await replay(second, [(SPOT, path)])
    records = await read_records(first, "binance")
    assert records == await read_records(second, "binance")
    assert max(value.count(b"\n") for found in records.values() for _, value in found) == 50


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
async def test_raw_capture(settings: Settings, tmp_path: Path, suffix: str) -> None:
    """Raw lines, including markers and definitions, are replayed unchanged. Only ticks are recreated."""
    key = "okx:BTC-USDT-PERP"
    fields = {"exchange": "okx", "feed": "okx", "symbol": "BTC-USDT-PERP", "exchange_symbol": "BTC-USDT-SWAP"}
    fields |= {"kind": "perp", "base": "BTC", "quote": "USDT", "contract_size": "0.01"}
    lines = [
        encode_line(T0, key, b'{"arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"data":[1]}'),
        encode_marker(T0 + 1, "okx:*", Tick()),
        encode_marker(T0 + 2, key, Definition(Instrument.model_validate(fields))),
        encode_marker(T0 + 3, key, Lost(frames=3, reason="test")),
        encode_line(T0 + 4, key, b"two\nlines"),
    ]
    path = tmp_path / f"capture{suffix}"
    path.write_bytes(compressed(b"".join(lines), suffix))
    summary = await replay(settings, [(OKX, path)])
    assert summary.frames == 2
    found = (await read_lines(settings, "okx"))[key]
    assert kinds(found) == ["instrument", "connected", "subscribed", "frame", "instrument", "lost", "frame"]
    assert orjson.loads(found[0].frame)["contract_size"] == "0.01"  # found ahead of its position


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_truncated_capture(tmp_path: Path, suffix: str) -> None:
    """The complete lines of a truncated file are replayed."""
    lines = b"".join(encode_line(T0 + n, "okx:BTC-USDT", trade("BTCUSDT", n * 7919)) for n in range(20_000))
    whole, path = compressed(lines, suffix), tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    stamps = [line.local_timestamp for line in open_capture(OKX, path).lines()]
    assert 0 < len(stamps) < 20_000
    assert stamps == [T0 + n for n in range(len(stamps))]


@pytest.mark.parametrize("content", [b"", b"hello\n", b"{}\n{}\n", b"time,price\n1,2\n"])
def test_not_a_capture(tmp_path: Path, content: bytes) -> None:
    """For a file of another kind, the error contains its name."""
    path = tmp_path / "other.txt"
    path.write_bytes(content)
    with pytest.raises(RawRecordError, match=r"other\.txt"):
        open_capture(OKX, path)


async def test_missing_topics(settings: Settings, tmp_path: Path) -> None:
    """A replay into missing topics is an error and does not wait."""
    path = collected(tmp_path / "spot.gz", [(T0, trade("BTCUSDT", 1))])
    with pytest.raises(StackError, match=r"nowhere\.raw\.binance"):
        await replay(load_settings(kafka=settings.kafka, topic_prefix="nowhere."), [(SPOT, path)])


async def test_pace(settings: Settings, tmp_path: Path) -> None:
    """At speed 2, two recorded seconds take one second. Progress is reported."""
    rows = [(T0 + n * 20_000_000, trade("BTCUSDT", n)) for n in range(101)]
    reports: list[tuple[int, int]] = []

    def progress(done: ReplaySummary, read: int, size: int) -> None:
        reports.append((read, size))

    began = time.monotonic()
    summary = await replay(settings, [(SPOT, collected(tmp_path / "spot.gz", rows))], 2.0, progress)
    assert 0.9 < time.monotonic() - began < 3
    assert summary.recorded_seconds == pytest.approx(2.0)
    assert reports[-1][0] == reports[-1][1] > 0


async def test_record_and_replay(settings: Settings, tmp_path: Path) -> None:
    """A recording of a running ingest, replayed, equals that part of the raw topic and has the definitions."""
    path, key = tmp_path / "capture.zst", "okx:BTC-USDT-PERP"
    async with Simulators(["okx"]) as simulators:
        values = settings.model_dump() | {"endpoints": simulators.endpoints, "symbols": ("BTC-USDT-PERP", "ETH-USDT")}
        here = load_settings(**values)
        async with ingesting(here, "okx"):
            await until(here, "okx", key, lambda found: "frame" in found)
            summary = await record(here, ["okx"], path, 5.0)
    assert summary.lines > 100
    again = await fresh(here)
    await replay(again, [(OKX, path)])
    original, replayed = await read_lines(here, "okx"), await read_lines(again, "okx")
    for name in (key, "okx:ETH-USDT"):
        recorded = frames(replayed[name])
        assert len(recorded) > 20
        assert recorded in windows(frames(original[name]), len(recorded))
        assert any(b'"action":"snapshot"' in frame for frame in recorded)
    assert orjson.loads(replayed[key][0].frame)["contract_size"] == "0.01"


def windows(items: list[bytes], length: int) -> list[list[bytes]]:
    return [items[start : start + length] for start in range(len(items) - length + 1)]


async def test_record_waits_for_topics(settings: Settings, tmp_path: Path) -> None:
    """A recording waits until the topics exist. If it is stopped before that, it leaves no file."""
    later = settings.model_copy(update={"topic_prefix": f"t{uuid4().hex[:8]}."})
    recording = asyncio.create_task(record(later, ["okx"], tmp_path / "capture", 2.0))
    await asyncio.sleep(0.5)
    await create_topics(later)
    assert (await recording).lines == 0
    nowhere = settings.model_copy(update={"topic_prefix": "nowhere."})
    recording = asyncio.create_task(record(nowhere, ["okx"], tmp_path / "none", 2.0))
    await asyncio.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    assert (await recording).lines == 0
    assert not (tmp_path / "none").exists()


async def test_record_overwrites_nothing(settings: Settings, tmp_path: Path) -> None:
    """An existing file is not changed."""
    path = tmp_path / "capture.zst"
    path.write_bytes(b"precious")
    with pytest.raises(SettingsError, match="exists"):
        await record(settings, ["okx"], path, 1.0)
    assert path.read_bytes() == b"precious"


@pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no recordings at {FRAMES}")
async def test_recordings(settings: Settings) -> None:
    """All frames of four simultaneous Binance recordings are replayed."""
    names = ("spot-btcusdt", "spot-ethusdt", "usdm-btcusdt", "usdm-ethusdt")
    sources = [(FEEDS[f"binance-{name[:4]}"], FRAMES / f"binance-{name}-20240808.gz") for name in names]
    summary = await replay(settings, sources)
    assert summary.frames == 41_249 + 33_618 + 93_954 + 74_655
    lines = await read_lines(settings, "binance")
    assert sum(len(frames(found)) for found in lines.values()) == summary.frames
    assert "binance:?" not in lines
