"""Take what ingest writes, and process it as a worker does: the pipeline of a feed, without Kafka."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from ingest.exchanges.base import Connector
from ingest.raw_writer import RawWriter
from marketprism.probe.cell import OTHERS, Cell
from schemas.control import SnapshotRequest, decode_request
from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.keys import EVERY, UNKNOWN, key_of
from schemas.markers import Connected, Markers, Refused, Subscribed, Tick
from schemas.raw import encode_line, encode_marker
from schemas.settings import Settings
from schemas.topics import CONTROL, DEAD_LETTERS
from streams.normalize import parse
from streams.normalize.messages import BookMessage
from streams.raw_processor import RawProcessor

_BREAKS = frozenset({"sequence", "restarted", "checksum", "crossed", "quality"})
"""Causes of gaps that are the exchange's: others are of our connection."""
_MOST_STRANGERS = 20  # unknown frames that are kept
_HEAD = 100  # bytes of each


class Recorder(RawWriter):
    """Writer that sends nothing, and so has no producer. `cells`: the observations, by key and channel.

    `on_snapshot_needed(key)` is called when a book needs a fresh snapshot.
    """

    def __init__(self, connector: Connector, settings: Settings, cells: Iterable[tuple[Instrument, Cell]]) -> None:
        self.is_stopping = True  # the end of a probe is no loss
        self.cells: dict[tuple[str, str], Cell] = {}
        self.on_snapshot_needed: Callable[[str], None] = lambda key: None
        self._instruments: dict[str, Instrument] = {}
        for instrument, cell in cells:
            self.cells[instrument.key, cell.channel] = cell
            self._instruments[instrument.key] = instrument
        self._connector = connector
        self._processor = RawProcessor(connector.feed.exchange, 0, settings)
        self._records = 0

    def write_frame(self, local_timestamp: int, key: str, frame: bytes) -> None:
        """Count a frame for its channel, compare it with what is expected, and process it."""
        cell = self.cells.get((key, self._channel_of(frame)))
        if cell is None:
            self._on_stranger(frame)
            return
        now = time.monotonic()
        if cell.is_request:
            cell.on_acknowledged(now)
        cell.on_frame(now, frame)
        if cell.book is not None:
            self._note_checksum(cell, self._instruments[key], frame, local_timestamp)
        self._process(encode_line(local_timestamp, key, frame), cell)

    def write_marker(self, local_timestamp: int, key: str, marker: Markers) -> None:
        """Note what the exchange has answered to a subscription, and process the marker."""
        now = time.monotonic()
        channels = marker.channels if isinstance(marker, Connected | Subscribed | Refused) else ()
        for cell in (self.cells[key, channel] for channel in channels if (key, channel) in self.cells):
            if isinstance(marker, Connected):
                cell.asked_at, cell.failure = cell.asked_at or now, None
            elif isinstance(marker, Subscribed):
                cell.on_acknowledged(now)
            elif isinstance(marker, Refused):
                cell.rejection = marker.reason
        self._process(encode_marker(local_timestamp, key, marker), None)

    def tick(self) -> None:
        """Advance stream time."""
        exchange, feed = self._connector.feed.exchange, self._connector.name
        self._process(encode_marker(time.time_ns(), key_of(exchange, EVERY), Tick(feeds=[feed])), None)

    def _channel_of(self, frame: bytes) -> str:
        try:
            return self._connector.route(frame).channel
        except Exception:  # noqa: BLE001 - no frame may end the connection
            return ""

    def _on_stranger(self, frame: bytes) -> None:
        """Note a frame of a channel that was not subscribed to."""
        cell = self.cells.setdefault((UNKNOWN, OTHERS), Cell(self._connector.name, OTHERS, is_request=True))
        cell.on_answer(time.monotonic())
        if len(cell.dead_letters) < _MOST_STRANGERS:
            cell.dead_letters[f"an unknown frame: {frame[:_HEAD].decode(errors='replace')}"] += 1

    def _note_checksum(self, cell: Cell, instrument: Instrument, frame: bytes, local_timestamp: int) -> None:
        try:
            messages = parse(frame, instrument, local_timestamp // 1000)
        except FrameError:  # it becomes a dead letter
            return
        for message in messages:
            if isinstance(message, BookMessage) and cell.book:
                cell.book.on_message(message)

    def _process(self, record: bytes, cell: Cell | None) -> None:
        self._records += 1
        for topic, key, value in self._processor.process(self._records, record).records:
            if topic == CONTROL:
                request = decode_request(value)
                if isinstance(request, SnapshotRequest):
                    self.on_snapshot_needed(key_of(request.exchange, request.symbol))
            elif topic == DEAD_LETTERS:
                self._on_dead_letter(cell, orjson.loads(value))
            elif topic in ("market.books", "market.gaps"):
                self._on_book(self.cells.get((key.decode(), "books")), topic, orjson.loads(value))

    def _on_dead_letter(self, cell: Cell | None, letter: dict[str, Any]) -> None:
        if cell is not None:
            cell.dead_letters[letter["reason"]] += 1

    def _on_book(self, cell: Cell | None, topic: str, event: dict[str, Any]) -> None:
        if cell is None or cell.book is None:
            return
        if topic == "market.books":
            cell.book.is_built = True
        elif event["channel"] == "books" and event["type"] == "opened" and event["cause"] in _BREAKS:
            cell.book.breaks[event["cause"]] += 1
