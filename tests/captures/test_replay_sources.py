"""Select the lines to replay by feed, each once, without guessing."""

import gzip
import shutil
from pathlib import Path

import pytest

from marketprism.captures.capture import open_capture
from marketprism.captures.merge import CaptureMerge
from marketprism.captures.replay import replay
from marketprism.captures.replay_sources import ReplaySource, feeds_of, open_sources, parse_replay_source
from schemas.errors import RawRecordError, SettingsError, SymbolError
from schemas.feeds import FEEDS
from schemas.keys import UNKNOWN
from schemas.markers import Tick
from schemas.raw import encode_line, encode_marker
from schemas.settings import Settings
from tests.captures.test_replay import SPOT, T0, USDM, collected, frames, trade
from tests.ingest.reading import read_lines

OKX, HTX = FEEDS["okx"], FEEDS["htx-spot"]
KEYS = ("binance:BTC-USDT", "binance:BTC-USDT-PERP", "okx:BTC-USDT", "htx:BTC-USDT", "binance:?", "okx:?")


def recorded(path: Path, count: int = 20, keys: tuple[str, ...] = KEYS, begin: int = 0) -> Path:
    """Write a raw capture with lines of each instrument in turn, and a tick."""
    lines = [
        encode_line(T0 + n * len(keys) + place, key, b'{"n":%d}' % n)
        for n in range(begin, begin + count)
        for place, key in enumerate(keys)
    ]
    path.write_bytes(b"".join(lines) + encode_marker(T0, "okx:*", Tick()))
    return path


def count_lines(*sources: ReplaySource) -> dict[str, int]:
    """Return the number of merged lines by key."""
    found: dict[str, int] = {}
    for line in CaptureMerge(open_sources(sources)):
        found[line.key] = found.get(line.key, 0) + 1
    return found


def test_each_feed_selects_its_lines(tmp_path: Path) -> None:
    """Each named feed selects its lines of a capture, and those of its exchange's unknown instruments, once."""
    path = recorded(tmp_path / "cap")
    assert count_lines((SPOT, path)) == {"binance:BTC-USDT": 20, "binance:?": 20}
    assert count_lines((SPOT, path), (OKX, path), (HTX, path)) == {
        key: 20 for key in KEYS if key != "binance:BTC-USDT-PERP"
    }
    assert count_lines((USDM, path), (SPOT, path)) == {key: 20 for key in KEYS if key.startswith("binance")}
    assert count_lines((FEEDS["deribit"], path)) == {}


def test_all_lines_without_a_feed(tmp_path: Path) -> None:
    """A capture that names the feeds of its lines needs no feed argument."""
    path = recorded(tmp_path / "cap")
    assert count_lines((None, path)) == dict.fromkeys(KEYS, 20)
    assert feeds_of([(None, path)]) == ["binance-spot", "binance-usdm", "htx-spot", "okx"]
    assert feeds_of([(OKX, path)]) == ["okx"]


def test_replaying_lines_twice_is_rejected(tmp_path: Path) -> None:
    """A file cannot be given twice for one feed, or for all and one, even with another path, as a link or a copy."""
    path = recorded(tmp_path / "cap")
    copy, link = Path(shutil.copy(path, tmp_path / "copy")), tmp_path / "link"
    link.symlink_to(path)
    for other in (path, tmp_path / "." / "cap", tmp_path / ".." / tmp_path.name / "cap", copy, link):
        for first, second in ((OKX, OKX), (None, None), (None, OKX), (SPOT, None)):
            with pytest.raises(RawRecordError, match="replayed twice"):
                open_sources([(first, path), (second, other)])
    assert count_lines((SPOT, path), (OKX, copy)) == {
        "binance:BTC-USDT": 20,
        "binance:?": 20,
        "okx:BTC-USDT": 20,
        "okx:?": 20,
    }


def test_collector_files_need_one_feed(tmp_path: Path) -> None:
    """A file of the hftbacktest collector names no exchange, so it and its copies need exactly one feed."""
    path = collected(tmp_path / "spot.gz", [(T0, trade("BTCUSDT", 1))])
    copy = Path(shutil.copy(path, tmp_path / "copy.gz"))
    for sources in ([(None, path)], [(SPOT, path), (USDM, path)], [(SPOT, path), (USDM, copy)]):
        with pytest.raises(RawRecordError, match=r"write FEED:FILE, such as binance-spot:spot\.gz"):
            open_sources(sources)
    with pytest.raises(RawRecordError, match="replayed twice"):
        open_sources([(SPOT, path), (SPOT, copy)])


def test_overlapping_captures(tmp_path: Path) -> None:
    """Lines in two recordings of one ingest are replayed once and counted, whatever their compression."""
    first, second = recorded(tmp_path / "first", 30), recorded(tmp_path / "second", 30, begin=20)
    packed = tmp_path / "second.gz"
    packed.write_bytes(gzip.compress(second.read_bytes()))
    for other in (second, packed):
        merge = CaptureMerge(open_sources([(None, first), (None, other)]))
        lines = list(merge)
        assert len(lines) == len({(line.key, line.frame) for line in lines}) == 50 * len(KEYS)
        assert merge.repeated == 10 * len(KEYS)


def test_overlap_out_of_order(tmp_path: Path) -> None:
    """Duplicates are recognised even if times step back. Repeated lines within one capture are kept."""
    lines = [encode_line(T0 + n - 40 * (n % 7), "okx:BTC-USDT", b"%d" % n) for n in range(500)]
    lines += [lines[-1]]
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"".join(lines) + name.encode() * 0)
    (tmp_path / "b").write_bytes(b"".join(lines[3:]))
    merge = CaptureMerge([open_capture((), tmp_path / name) for name in ("a", "b")])
    assert len(list(merge)) == 501
    assert merge.repeated == 498


async def test_replayed_by_feed(settings: Settings, tmp_path: Path) -> None:
    """The topics contain each feed's lines once, although the file is named three times. Overlaps are counted."""
    path, more = recorded(tmp_path / "cap", keys=KEYS[:4]), recorded(tmp_path / "more", 25, KEYS[:4])
    summary = await replay(settings, [(SPOT, path), (OKX, path), (HTX, path), (OKX, more)])
    assert (summary.frames, summary.repeated) == (65, 20)
    assert len(frames((await read_lines(settings, "okx"))["okx:BTC-USDT"])) == 25
    assert set(await read_lines(settings, "binance")) == {"binance:*", "binance:BTC-USDT"}


async def test_an_exchange_that_appears_late(settings: Settings, tmp_path: Path) -> None:
    """An exchange without lines at the beginning of a capture is replayed as well."""
    path = tmp_path / "cap"
    lines = [encode_line(T0 + n, "okx:BTC-USDT", b"{}") for n in range(21_000)]
    path.write_bytes(b"".join([*lines, encode_line(T0 + 30_000, "htx:BTC-USDT", b"{}")]))
    assert (await replay(settings, [(None, path)])).frames == 21_001
    assert len(frames((await read_lines(settings, "htx"))["htx:BTC-USDT"])) == 1


@pytest.mark.parametrize("exchange", ["kraken", ""])
def test_unknown_exchanges_are_rejected(tmp_path: Path, exchange: str) -> None:
    """A capture with lines of an unknown exchange is an error."""
    path = recorded(tmp_path / "cap", keys=(f"{exchange}:BTC-USDT",))
    with pytest.raises(RawRecordError, match="known exchanges are binance"):
        open_capture((), path)


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed name before the first colon, in any case, is the feed. Otherwise the whole text is a path."""
    monkeypatch.chdir(tmp_path)
    for name in ("cap", "a:b.zst", "C:\\caps\\x", "okx:cap", "2024-08-08T10:00.zst"):
        (tmp_path / name).touch()
    expected = {
        "cap": (None, "cap"),
        "okx:cap": (OKX, "cap"),
        "OKX:cap": (OKX, "cap"),
        "binance-spot:a:b.zst": (SPOT, "a:b.zst"),
        "a:b.zst": (None, "a:b.zst"),
        "C:\\caps\\x": (None, "C:\\caps\\x"),
        "okx:C:\\caps\\x": (OKX, "C:\\caps\\x"),
        "okx:okx:cap": (OKX, "okx:cap"),
        "./okx:cap": (None, "okx:cap"),
        "2024-08-08T10:00.zst": (None, "2024-08-08T10:00.zst"),
    }
    assert {text: parse_replay_source(text) for text in expected} == {
        text: (feed, Path(path)) for text, (feed, path) in expected.items()
    }
    with pytest.raises(SymbolError, match="known are binance-spot"):
        parse_replay_source("mtgox:cap")
    for text in ("none", "okx:none", "okx:", ":cap", ":", "", "D:\\x", "okx:."):
        with pytest.raises(SettingsError, match="there is no file"):
            parse_replay_source(text)


def test_unknown_symbols_belong_to_their_exchange(tmp_path: Path) -> None:
    """A line whose symbol belongs to no feed is selected by any feed of its exchange."""
    path = recorded(tmp_path / "cap", keys=("okx:NONSENSE", f"htx:{UNKNOWN}"))
    assert count_lines((OKX, path)) == {"okx:NONSENSE": 20}
