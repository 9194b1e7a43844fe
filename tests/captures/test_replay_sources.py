"""Which lines of which capture are replayed: by feed, once, and never by guess."""

import gzip
import shutil
from pathlib import Path

import pytest

from marketprism.captures.capture import open_capture
from marketprism.captures.merge import CaptureMerge
from marketprism.captures.replay import replay
from marketprism.captures.replay_sources import Source, feeds_of, open_sources, parse_source
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
    """A capture of ours: the instruments in turn, and ticks."""
    lines = [
        encode_line(T0 + n * len(keys) + place, key, b'{"n":%d}' % n)
        for n in range(begin, begin + count)
        for place, key in enumerate(keys)
    ]
    path.write_bytes(b"".join(lines) + encode_marker(T0, "okx:*", Tick()))
    return path


def taken(*sources: Source) -> dict[str, int]:
    """The number of lines by key, of all captures together."""
    found: dict[str, int] = {}
    for line in CaptureMerge(open_sources(sources)):
        found[line.key] = found.get(line.key, 0) + 1
    return found


def test_each_feed_takes_its_own_lines(tmp_path: Path) -> None:
    """One capture of all exchanges, named for three feeds: the lines of these, once; of unknown ones the exchange's."""
    path = recorded(tmp_path / "cap")
    assert taken((SPOT, path)) == {"binance:BTC-USDT": 20, "binance:?": 20}
    assert taken((SPOT, path), (OKX, path), (HTX, path)) == {key: 20 for key in KEYS if key != "binance:BTC-USDT-PERP"}
    assert taken((USDM, path), (SPOT, path)) == {key: 20 for key in KEYS if key.startswith("binance")}
    assert taken((FEEDS["deribit"], path)) == {}


def test_no_feed_takes_all(tmp_path: Path) -> None:
    """A capture that says whose its lines are needs no feed."""
    path = recorded(tmp_path / "cap")
    assert taken((None, path)) == dict.fromkeys(KEYS, 20)
    assert feeds_of([(None, path)]) == ["binance-spot", "binance-usdm", "htx-spot", "okx"]
    assert feeds_of([(OKX, path)]) == ["okx"]


def test_the_same_lines_twice_are_refused(tmp_path: Path) -> None:
    """A file for one feed twice, or for all and for one; under another name, by a link, or copied."""
    path = recorded(tmp_path / "cap")
    copy, link = Path(shutil.copy(path, tmp_path / "copy")), tmp_path / "link"
    link.symlink_to(path)
    for other in (path, tmp_path / "." / "cap", tmp_path / ".." / tmp_path.name / "cap", copy, link):
        for first, second in ((OKX, OKX), (None, None), (None, OKX), (SPOT, None)):
            with pytest.raises(RawRecordError, match="replayed twice"):
                open_sources([(first, path), (second, other)])
    assert taken((SPOT, path), (OKX, copy)) == {
        "binance:BTC-USDT": 20,
        "binance:?": 20,
        "okx:BTC-USDT": 20,
        "okx:?": 20,
    }


def test_frames_alone_need_one_feed(tmp_path: Path) -> None:
    """A file of the hftbacktest collector names no exchange: none and two feeds are refused, and its copy as well."""
    path = collected(tmp_path / "spot.gz", [(T0, trade("BTCUSDT", 1))])
    copy = Path(shutil.copy(path, tmp_path / "copy.gz"))
    for sources in ([(None, path)], [(SPOT, path), (USDM, path)], [(SPOT, path), (USDM, copy)]):
        with pytest.raises(RawRecordError, match=r"write FEED:FILE, such as binance-spot:spot\.gz"):
            open_sources(sources)
    with pytest.raises(RawRecordError, match="replayed twice"):
        open_sources([(SPOT, path), (SPOT, copy)])


def test_overlapping_captures(tmp_path: Path) -> None:
    """What two recordings of the same ingest share comes once and is counted; packed otherwise makes no difference."""
    first, second = recorded(tmp_path / "first", 30), recorded(tmp_path / "second", 30, begin=20)
    packed = tmp_path / "second.gz"
    packed.write_bytes(gzip.compress(second.read_bytes()))
    for other in (second, packed):
        merge = CaptureMerge(open_sources([(None, first), (None, other)]))
        lines = list(merge)
        assert len(lines) == len({(line.key, line.frame) for line in lines}) == 50 * len(KEYS)
        assert merge.repeated == 10 * len(KEYS)


def test_overlap_in_disorder(tmp_path: Path) -> None:
    """Lines of a recording whose times step back are recognised too; what one capture holds twice it keeps."""
    lines = [encode_line(T0 + n - 40 * (n % 7), "okx:BTC-USDT", b"%d" % n) for n in range(500)]
    lines += [lines[-1]]
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"".join(lines) + name.encode() * 0)
    (tmp_path / "b").write_bytes(b"".join(lines[3:]))
    merge = CaptureMerge([open_capture((), tmp_path / name) for name in ("a", "b")])
    assert len(list(merge)) == 501
    assert merge.repeated == 498


async def test_replayed_by_feed(settings: Settings, tmp_path: Path) -> None:
    """In the topics: each feed's lines once, although the file is named three times; the summary counts overlaps."""
    path, more = recorded(tmp_path / "cap", keys=KEYS[:4]), recorded(tmp_path / "more", 25, KEYS[:4])
    summary = await replay(settings, [(SPOT, path), (OKX, path), (HTX, path), (OKX, more)])
    assert (summary.frames, summary.repeated) == (65, 20)
    assert len(frames((await read_lines(settings, "okx"))["okx:BTC-USDT"])) == 25
    assert set(await read_lines(settings, "binance")) == {"binance:*", "binance:BTC-USDT"}


async def test_an_exchange_that_comes_late(settings: Settings, tmp_path: Path) -> None:
    """An exchange of which the beginning of a capture holds nothing is replayed as well."""
    path = tmp_path / "cap"
    lines = [encode_line(T0 + n, "okx:BTC-USDT", b"{}") for n in range(21_000)]
    path.write_bytes(b"".join([*lines, encode_line(T0 + 30_000, "htx:BTC-USDT", b"{}")]))
    assert (await replay(settings, [(None, path)])).frames == 21_001
    assert len(frames((await read_lines(settings, "htx"))["htx:BTC-USDT"])) == 1


@pytest.mark.parametrize("exchange", ["kraken", ""])
def test_unknown_exchanges_are_refused(tmp_path: Path, exchange: str) -> None:
    """A capture with lines of an exchange that is not known."""
    path = recorded(tmp_path / "cap", keys=(f"{exchange}:BTC-USDT",))
    with pytest.raises(RawRecordError, match="known are binance"):
        open_capture((), path)


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before the colon decides: a feed in any case, else all of it is a path, colons and all."""
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
    assert {text: parse_source(text) for text in expected} == {
        text: (feed, Path(path)) for text, (feed, path) in expected.items()
    }
    with pytest.raises(SymbolError, match="known are binance-spot"):
        parse_source("mtgox:cap")
    for text in ("none", "okx:none", "okx:", ":cap", ":", "", "D:\\x", "okx:."):
        with pytest.raises(SettingsError, match="there is no file"):
            parse_source(text)


def test_unknown_symbols_follow_their_exchange(tmp_path: Path) -> None:
    """A line whose symbol is of no feed goes with the first feed that is named of its exchange."""
    path = recorded(tmp_path / "cap", keys=("okx:NONSENSE", f"htx:{UNKNOWN}"))
    assert taken((OKX, path)) == {"okx:NONSENSE": 20}
