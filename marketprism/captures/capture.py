"""Capture files: raw lines, or hftbacktest's `<received_ns> <frame>` lines; plain, gzip or zstd."""

import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
import structlog
import zstandard

from ingest.exchanges import CONNECTORS
from schemas.errors import RawRecordError, SymbolError
from schemas.feeds import EXCHANGES, Feed, feed_of, from_exchange
from schemas.instruments import Instrument
from schemas.keys import EVERY, UNKNOWN
from schemas.markers import MARKER
from schemas.raw import RawLine
from schemas.symbols import parse_symbol

log = structlog.get_logger(__name__)

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BUFFER = 1 << 20
_AHEAD = 20_000  # lines that are looked through for definitions and for the file's instrument
_LISTING = b'"quoteAsset"'
_INSTRUMENT = MARKER + b"instrument"


@dataclass
class Capture:
    """One file, opened: iterate `lines()` once. `done` counts bytes of the file as they are read; `size` is all.

    `feeds`: whose lines to take; none means all, which only raw lines allow, as they name their instruments.
    """

    path: Path
    feeds: tuple[Feed, ...]
    size: int = 0
    control: int = 0  # acknowledgements and the like, which are left out
    definitions: dict[str, Instrument] = field(default_factory=dict)
    exchanges: tuple[str, ...] = ()  # of its beginning; others may follow
    feeds_met: tuple[str, ...] = ()  # likewise
    names: dict[str, str] = field(default_factory=dict)  # symbols by the exchange's names, where it holds a listing
    _raw: bool = False
    _only: str = ""  # the key of frames without a symbol
    _file: BinaryIO | None = None

    @property
    def done(self) -> int:
        return self.size if self._file is None or self._file.closed else self._file.tell()

    def lines(self) -> Iterator[RawLine]:
        """Receipt ns, `exchange:symbol`, frame. Control frames are counted and left out, ticks are left out."""
        with self.path.open("rb") as file:
            self._file = file
            rows = _rows(self.path, file)
            try:
                yield from self._raw_lines(rows) if self._raw else self._frames(rows)
            except ValueError as error:
                raise RawRecordError(f"{self.path} holds a line that is none: {error}") from None

    def _raw_lines(self, rows: Iterator[bytes]) -> Iterator[RawLine]:
        keys: dict[bytes, str] = {}  # empty for those that are left out
        for row in rows:
            stamp, key, frame = row.split(b"\t", 2)
            name = keys.get(key)
            if name is None:
                name = key.decode()
                name = keys[key] = name if self._takes(name) and not name.endswith(EVERY) else ""
            if name:
                yield RawLine(int(stamp), name, frame)
        met = {_feed_name(name) for name in keys.values() if name}
        for feed in self.feeds:
            if feed.name not in met:
                log.warning("the capture holds no line of this feed", feed=feed.name, file=str(self.path))

    def _takes(self, key: str) -> bool:
        """Whether a line is of the wanted feeds; those of no known instrument follow their exchange."""
        exchange = key.partition(":")[0]
        if exchange not in EXCHANGES:
            raise RawRecordError(f"{self.path} holds lines of {exchange!r}: known are {', '.join(EXCHANGES)}")
        name = _feed_name(key)
        return not self.feeds or any(
            feed.name == name or (not name and feed.exchange == exchange) for feed in self.feeds
        )

    def _frames(self, rows: Iterator[bytes]) -> Iterator[RawLine]:
        feed = self.feeds[0]
        route, keys = CONNECTORS[feed.name]().route, dict[str, str]()
        unknown = f"{feed.exchange}:{UNKNOWN}"
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
            return self._only
        feed = self.feeds[0]
        if name.upper() in self.names:
            return f"{feed.exchange}:{self.names[name.upper()]}"
        try:
            return f"{feed.exchange}:{from_exchange(feed.name, name)}"
        except SymbolError:
            return f"{feed.exchange}:{UNKNOWN}"

    def look_ahead(self) -> None:
        """Read the beginning: the format, the exchanges, the definitions, the instrument of a nameless snapshot."""
        self.size = self.path.stat().st_size
        with self.path.open("rb") as file:
            head = list(islice(_rows(self.path, file), _AHEAD))
        if not head:
            raise RawRecordError(f"{self.path} holds no lines")
        self._raw = _is_raw(head[0], self.path)
        if self._raw:
            self._look_at_raw(head)
        else:
            self._look_at_frames(head)

    def _look_at_raw(self, head: list[bytes]) -> None:
        keys = [key for key in dict.fromkeys(row.split(b"\t", 2)[1].decode() for row in head) if self._takes(key)]
        self.exchanges = tuple(dict.fromkeys(key.partition(":")[0] for key in keys))
        self.feeds_met = tuple(dict.fromkeys(name for name in map(_feed_name, keys) if name))
        for row in head:
            _, key, frame = row.split(b"\t", 2)
            if frame.startswith(_INSTRUMENT):
                self.definitions.setdefault(key.decode(), Instrument(**orjson.loads(frame)))

    def _look_at_frames(self, head: list[bytes]) -> None:
        if len(self.feeds) != 1:
            given = " and ".join(feed.name for feed in self.feeds) or "no feed"
            raise RawRecordError(
                f"{self.path} does not say whose frames it holds, and {given} is named: "
                f"write FEED:FILE, such as binance-spot:{self.path.name}"
            )
        [feed] = self.feeds
        self.exchanges, self.feeds_met = (feed.exchange,), (feed.name,)
        for row in head:
            if _LISTING in row:
                self.names |= _listed(row.partition(b" ")[2])
        route = CONNECTORS[feed.name]().route
        names = dict.fromkeys(
            found.symbol for row in head if (found := route(row.partition(b" ")[2])).kind == "data" and found.symbol
        )
        # A nameless snapshot belongs to the file's instrument; where there are several, nobody can tell.
        self._only = self._key_of(next(iter(names))) if len(names) == 1 else f"{feed.exchange}:{UNKNOWN}"


def _listed(frame: bytes) -> dict[str, str]:
    """Symbols by name, of Binance's `exchangeInfo`: names without a separator are not always clear by themselves."""
    names = {}
    for entry in _entries(frame):
        pair = f"{entry.get('baseAsset')}-{entry.get('quoteAsset')}"
        name = str(entry.get("symbol"))
        symbol = f"{pair}-{name.partition('_')[2] or 'PERP'}" if "contractType" in entry else pair
        try:
            names[name.upper()] = str(parse_symbol(symbol))
        except SymbolError:
            continue  # an entry that is incomplete, or of a kind that has no canonical name
    return names


def _entries(frame: bytes) -> list[dict[str, Any]]:
    try:
        body = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return []
    entries = body.get("symbols") if type(body) is dict else None
    return [entry for entry in entries if type(entry) is dict] if type(entries) is list else []


def open_capture(feeds: Sequence[Feed] | Feed, path: Path) -> Capture:
    """Look at a file's beginning. `RawRecordError` says what is wrong with it."""
    capture = Capture(path, (feeds,) if isinstance(feeds, Feed) else tuple(feeds))
    try:
        capture.look_ahead()
    except OSError as error:
        raise RawRecordError(f"{path} cannot be read: {error.strerror or error}") from None
    return capture


def _feed_name(key: str) -> str:
    """The feed of an `exchange:symbol`; empty where the symbol is of none."""
    exchange, _, symbol = key.partition(":")
    try:
        return feed_of(exchange, symbol).name
    except SymbolError:
        return ""


def _is_raw(row: bytes, path: Path) -> bool:
    stamp = row[:20].replace(b"\t", b" ").partition(b" ")[0]
    if not stamp.isdigit() or len(row) <= len(stamp):
        raise RawRecordError(
            f"{path} is no capture: its lines are neither <ns>\\t<exchange>:<symbol>\\t<frame> nor <ns> <frame>"
        )
    return row[len(stamp) : len(stamp) + 1] == b"\t"


def _rows(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Whole lines without their newline; what a kill left of the last one is told and left out."""
    try:
        for row in _unpacked(file):
            if not row.endswith(b"\n"):
                log.warning("the capture ends within a line, which is left out", file=str(path))
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
