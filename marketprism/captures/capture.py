"""Read capture files: raw lines, or hftbacktest's `<received_ns> <frame>` lines; plain, gzip or zstd."""

import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import structlog
import zstandard

from ingest.exchanges import CONNECTORS
from schemas.errors import FrameError, RawRecordError, SymbolError
from schemas.feeds import EXCHANGES, Feed, feed_of, from_exchange
from schemas.instruments import Instrument
from schemas.json_object import json_object
from schemas.keys import EVERY, UNKNOWN, key_of, split_key
from schemas.markers import MARKER, Definition, decode_text
from schemas.raw import RawLine
from schemas.symbols import parse_symbol

log = structlog.get_logger(__name__)

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BUFFER = 1 << 20
_HEAD_LINES = 20_000  # lines at the beginning that are searched for definitions and for the file's instrument
_LISTING = b'"quoteAsset"'
_INSTRUMENT = MARKER + b"instrument"


@dataclass
class Capture:
    """One capture file; iterate `lines()` once. `bytes_read` of the file's `size` shows the progress.

    `feeds`: the feeds whose lines to read. Empty means all, which only a file of raw lines allows, as these name their
    instruments.
    """

    path: Path
    feeds: tuple[Feed, ...]
    size: int = 0
    control: int = 0  # number of control frames (acknowledgements, pongs), which are left out
    definitions: dict[str, Instrument] = field(default_factory=dict)
    exchanges: tuple[str, ...] = ()  # found at the beginning; others may follow
    feeds_found: tuple[str, ...] = ()  # likewise
    listed_symbols: dict[str, str] = field(default_factory=dict)  # by the exchange's name, from a recorded listing
    _raw: bool = False
    _default_key: str = ""  # key of frames without a symbol
    _file: BinaryIO | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far, before decompression."""
        return self.size if self._file is None or self._file.closed else self._file.tell()

    def lines(self) -> Iterator[RawLine]:
        """Yield the raw lines, without control frames, which are counted, and without ticks."""
        with self.path.open("rb") as file:
            self._file = file
            rows = _rows(self.path, file)
            try:
                yield from self._raw_lines(rows) if self._raw else self._frames(rows)
            except ValueError as error:
                raise RawRecordError(f"{self.path} contains a malformed line: {error}") from None

    def _raw_lines(self, rows: Iterator[bytes]) -> Iterator[RawLine]:
        keys: dict[bytes, str] = {}  # an empty name: left out
        for row in rows:
            stamp, key, frame = row.split(b"\t", 2)
            name = keys.get(key)
            if name is None:
                name = key.decode()
                name = keys[key] = name if self._is_wanted(name) and not name.endswith(EVERY) else ""
            if name:
                yield RawLine(int(stamp), name, frame)
        found = {_feed_name(name) for name in keys.values() if name}
        for feed in self.feeds:
            if feed.name not in found:
                log.warning("the capture contains no lines of this feed", feed=feed.name, file=str(self.path))

    def _is_wanted(self, key: str) -> bool:
        """Return whether a line belongs to the wanted feeds; without a known instrument, its exchange decides."""
        exchange, _ = split_key(key)
        if exchange not in EXCHANGES:
            raise RawRecordError(
                f"{self.path} contains lines of {exchange!r}: the known exchanges are {', '.join(EXCHANGES)}"
            )
        name = _feed_name(key)
        return not self.feeds or any(
            feed.name == name or (not name and feed.exchange == exchange) for feed in self.feeds
        )

    def _frames(self, rows: Iterator[bytes]) -> Iterator[RawLine]:
        feed = self.feeds[0]
        route, keys = CONNECTORS[feed.name]().route, dict[str, str]()
        unknown = key_of(feed.exchange, UNKNOWN)
        for row in rows:
            stamp, _, frame = row.partition(b" ")
            found = route(frame)
            if found.kind == "control":
                self.control += 1
                continue
            if found.kind == "unknown":
                yield RawLine(int(stamp), unknown, frame)
                continue
            key = keys.get(found.symbol) or keys.setdefault(found.symbol, self._key_of(found.symbol))
            yield RawLine(int(stamp), key, frame)

    def _key_of(self, name: str) -> str:
        if not name:
            return self._default_key
        feed = self.feeds[0]
        if name.upper() in self.listed_symbols:
            return key_of(feed.exchange, self.listed_symbols[name.upper()])
        try:
            return key_of(feed.exchange, from_exchange(feed.name, name))
        except SymbolError:
            return key_of(feed.exchange, UNKNOWN)

    def read_head(self) -> None:
        """Read the beginning to find the format, exchanges, definitions, and the key of frames without a symbol."""
        self.size = self.path.stat().st_size
        with self.path.open("rb") as file:
            head = list(islice(_rows(self.path, file), _HEAD_LINES))
        if not head:
            raise RawRecordError(f"{self.path} contains no lines")
        self._raw = _is_raw(head[0], self.path)
        if self._raw:
            self._read_raw_head(head)
        else:
            self._read_frames_head(head)

    def _read_raw_head(self, head: list[bytes]) -> None:
        keys = [key for key in dict.fromkeys(row.split(b"\t", 2)[1].decode() for row in head) if self._is_wanted(key)]
        self.exchanges = tuple(dict.fromkeys(split_key(key)[0] for key in keys))
        self.feeds_found = tuple(dict.fromkeys(name for name in map(_feed_name, keys) if name))
        for row in head:
            _, key, frame = row.split(b"\t", 2)
            if frame.startswith(_INSTRUMENT):
                self._take_definition(key.decode(), frame)

    def _take_definition(self, key: str, text: bytes) -> None:
        with suppress(FrameError):  # a malformed one becomes a dead letter when it is replayed
            marker = decode_text(text)
            if isinstance(marker, Definition):
                self.definitions.setdefault(key, marker.instrument)

    def _read_frames_head(self, head: list[bytes]) -> None:
        if len(self.feeds) != 1:
            given = " and ".join(feed.name for feed in self.feeds) or "no feed"
            raise RawRecordError(
                f"{self.path} does not name the feed of its frames, and {given} was given: "
                f"write FEED:FILE, such as binance-spot:{self.path.name}"
            )
        [feed] = self.feeds
        self.exchanges, self.feeds_found = (feed.exchange,), (feed.name,)
        for row in head:
            if _LISTING in row:
                self.listed_symbols |= _listed(row.partition(b" ")[2])
        route = CONNECTORS[feed.name]().route
        names = dict.fromkeys(
            found.symbol for row in head if (found := route(row.partition(b" ")[2])).kind == "data" and found.symbol
        )
        # A snapshot without a symbol belongs to the file's instrument, unless the file has several.
        self._default_key = self._key_of(next(iter(names))) if len(names) == 1 else key_of(feed.exchange, UNKNOWN)


def _listed(frame: bytes) -> dict[str, str]:
    """Return symbols by name from Binance's `exchangeInfo`: names without a separator can be ambiguous."""
    names = {}
    for entry in _entries(frame):
        pair = f"{entry.get('baseAsset')}-{entry.get('quoteAsset')}"
        name = str(entry.get("symbol"))
        symbol = f"{pair}-{name.partition('_')[2] or 'PERP'}" if "contractType" in entry else pair
        try:
            names[name.upper()] = str(parse_symbol(symbol))
        except SymbolError:
            continue  # the entry is incomplete, or of a kind without a canonical name
    return names


def _entries(frame: bytes) -> list[dict[str, Any]]:
    entries = (json_object(frame) or {}).get("symbols")
    return [entry for entry in entries if type(entry) is dict] if type(entries) is list else []


def open_capture(feeds: Sequence[Feed] | Feed, path: Path) -> Capture:
    """Open a capture file and read its beginning. Raise `RawRecordError` if it is not a valid capture."""
    capture = Capture(path, (feeds,) if isinstance(feeds, Feed) else tuple(feeds))
    try:
        capture.read_head()
    except OSError as error:
        raise RawRecordError(f"cannot read {path}: {error.strerror or error}") from None
    return capture


def _feed_name(key: str) -> str:
    """Return the feed of an `exchange:symbol`, or an empty string if it has none."""
    exchange, symbol = split_key(key)
    try:
        return feed_of(exchange, symbol).name
    except SymbolError:
        return ""


def _is_raw(row: bytes, path: Path) -> bool:
    stamp = row[:20].replace(b"\t", b" ").partition(b" ")[0]
    if not stamp.isdigit() or len(row) <= len(stamp):
        raise RawRecordError(
            f"{path} is not a capture: its lines are neither <ns>\\t<exchange>:<symbol>\\t<frame> nor <ns> <frame>"
        )
    return row[len(stamp) : len(stamp) + 1] == b"\t"


def _rows(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yield complete lines without their newline. A last line cut by a kill is logged and left out."""
    try:
        for row in _unpacked(file):
            if not row.endswith(b"\n"):
                log.warning("the capture ends with an incomplete line, which is left out", file=str(path))
                return
            yield row[:-1]
    except (EOFError, zstandard.ZstdError, gzip.BadGzipFile) as error:
        log.warning("the capture ends early", file=str(path), error=str(error))


def _unpacked(file: BinaryIO) -> BinaryIO:
    head = file.read(4)
    file.seek(0)
    if head.startswith(_GZIP):
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=file)), _BUFFER))
    if head == _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader), _BUFFER))
    return file
