"""Account for every raw line of a run: it leads to events, to one dead letter, or to nothing for a known reason."""

import hashlib
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress

import orjson

from marketprism.simulator.market.listings import LISTINGS, OPTIONS
from schemas.errors import FrameError, SymbolError
from schemas.feeds import FEEDS, feed_of
from schemas.instruments import Instrument, assumed_instrument
from schemas.keys import EVERY, UNKNOWN
from schemas.markers import MARKER, Oversized, Wrapped, decode_text
from schemas.raw import RawLine, unwrap
from streams.normalize import parse
from streams.normalize.messages import BookMessage, Candle, Ignored, Liquidation, Reading, Trade
from streams.readings import MIN_INTERVAL
from tests.e2e.follower import Body, Book, Follower, Place, key_of

MAX_EXAMPLES = 12  # problems of one sort that are described

# Python's own messages, which mean nothing to an operator.
_PYTHON = re.compile(
    r"\b\w+(Error|Exception)\b|Traceback|object is not|not subscriptable|has no (attribute|len)|invalid literal"
    r"|could not convert|unsupported operand|indices must be|not enough values|too many values|argument of type"
    r"|string index|list index|unhashable|expected str instance|to unpack|digits\) for integer string"
)
_ID = re.compile(rb"(?<!\d)\d{10}(?!\d)")
_INSTRUMENTS = {
    key_of(listing): assumed_instrument(listing.feed, FEEDS[listing.feed].exchange, listing.symbol)
    for listing in (*LISTINGS, *OPTIONS)
}
# Known channels without events. A mutated frame may become one of them.
_IGNORED = frozenset({"control", "rest", "empty snapshot", "partial depth", "exchangeInfo"})


# What ingest makes of a frame about many instruments, so that it is unknown whether that was mutated.
_SPLIT = tuple(b'{"arg":{"channel":"%b"' % name for name in (b"liquidation-orders", b"opt-summary", b"estimated-price"))


class Accounts:
    """Account of one run. `problems`: descriptions by sort; `reasons`: of dead letters.

    `without_event`: why lines led to nothing; `counts`: figures for the table.
    """

    def __init__(self, follower: Follower, mutations: Iterable[Body]) -> None:
        self.problems: defaultdict[str, list[str]] = defaultdict(list)
        self.reasons: Counter[str] = Counter()
        self.without_event: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self._follower = follower
        self._mutations = list(mutations)
        self._mutated = {sent["sha256"]: each for each in self._mutations for sent in each["sent"]}
        self._stored_trades: set[tuple[str, str]] = set()
        self._books: defaultdict[str, Book] = defaultdict(Book)
        self._sequences: dict[str, int] = {}
        self._last_at: dict[tuple[str, str], int] = {}  # µs of the last event, by key and topic
        self._candles: dict[str, int] = {}  # µs at which the candle begins that may still change, by key
        self._liquidations: set[tuple[str, int, str, str | None]] = (
            set()
        )  # without amounts, whose contracts are assumed
        self._losses: dict[str, list[tuple[int, int]]] = {}

    def problem(self, sort: str, text: str) -> None:
        self.problems[sort].append(text)

    def described(self) -> list[str]:
        """Describe the problems, with some examples of each sort."""
        return [
            f"{sort} ({len(texts)}): {text}"
            for sort, texts in sorted(self.problems.items())
            for text in texts[:MAX_EXAMPLES]
        ]

    # Raw lines

    def books_that_applied(self, digests: set[str]) -> set[str]:
        """Return the keys of the books that applied a message with one of these hashes."""
        return {
            line.key
            for place, line in self._follower.lines.items()
            if any(topic == "market.books" for topic, _ in self._follower.events.get(place, ()))
            and (frame := _frame_of(line)) is not None
            and frame[1] in digests
        }

    def check_lines(self) -> None:
        """Check every line with a frame: it led to events, to one dead letter, or to nothing for a known reason."""
        self._stored_trades = {
            (f"{body['exchange']}:{body['symbol']}", body["id"])
            for events in self._follower.events.values()
            for topic, body in events
            if topic == "market.trades"
        }
        for place, line in sorted(self._follower.lines.items(), key=lambda item: item[0]):
            if (frame := _frame_of(line)) is not None:
                self._check_frame(place, line, *frame)
            self._follow_events(place)
        for topic, body in self._follower.others:
            if topic == "dead_letters":
                self._count_reason(body)
        for events in self._follower.events.values():
            for topic, body in events:
                # A skipped record is one whose processing has crashed.
                if topic == "market.status" and body["type"] == "skipped":
                    self.problem("a record was skipped", str(body))
        self._losses = self._all_losses()

    def _check_frame(self, place: Place, line: RawLine, frame: bytes, digest: str) -> None:
        events = self._follower.events.get(place, [])
        letters = [body for topic, body in events if topic == "dead_letters"]
        mutated = digest in self._mutated or frame.startswith(_SPLIT)
        self.counts["mutated lines" if mutated else "unmutated lines"] += 1
        for letter in letters:
            self._count_reason(letter)
        about = f"{place} {line.key} {self._about(digest)} frame {frame[:400]!r}"
        if letters and not mutated:
            self.problem("dead letter of an unmutated frame", f"{letters[0]['reason']!r} {about}")
        if len(letters) > max(1, frame.count(b'"trade_id"'), frame.count(b'"tradeId"')):
            self.problem("several dead letters of one frame", f"{[each['reason'] for each in letters]} {about}")
        if letters and len(letters) < len(events) and not _has_rows(frame):
            self.problem("events and a dead letter", f"{[topic for topic, _ in events]} {about}")
        if not mutated and _has_rows(frame):
            self._check_rows(line.key, frame, about)
        if not events:
            why = self._reason_without_event(line, frame)
            self.without_event[why] += 1
            if why.startswith("?"):
                self.problem("no event", f"{why} {about}")

    def _check_rows(self, key: str, frame: bytes, about: str) -> None:
        """Check that every trade of an unmutated frame is stored, whatever came before it."""
        for event in parse(frame, _instrument(key), 1):
            if isinstance(event, Trade) and (key, event.id) not in self._stored_trades:
                self.problem("trade of an unmutated frame is not stored", f"{event.id} {about}")

    def _count_reason(self, letter: Body) -> None:
        reason = letter["reason"]
        self.reasons[_shape(reason)] += 1
        # "not JSON: " is followed by the decoder's message about a position in the text, which is useful.
        if _PYTHON.search(reason) and not reason.startswith("not JSON: "):
            self.problem("Python's message as a reason", f"{reason!r} for {letter['frame'][:300]!r}")

    def _about(self, digest: str) -> str:
        mutation = self._mutated.get(digest)
        return f"[{mutation['what']} {mutation['damage']} #{mutation['number']}]" if mutation else "[not mutated]"

    # Lines without an event

    def _reason_without_event(self, line: RawLine, frame: bytes) -> str:
        """Return why a frame led to no event. It starts with `?` if no known reason applies."""
        key = line.key
        instrument = _instrument(key)
        try:
            events = parse(frame, instrument, 1)
        except FrameError as error:
            return f"? malformed: {error}"
        if all(isinstance(event, Ignored) for event in events):
            names = {event.channel for event in events if isinstance(event, Ignored)}
            return f"ignored: {', '.join(sorted(names)) or 'nothing in it'}"
        if all(isinstance(event, Trade) and (key, event.id) in self._stored_trades for event in events):
            return "duplicate trade"
        [event, *more] = events
        if isinstance(event, Reading):
            return self._reason_of_state("reading", line, event.topic)
        if isinstance(event, Candle):
            return self._reason_of_candle(line, event)
        if all(isinstance(each, Liquidation) and self._is_published(key, each) for each in events):
            return "duplicate liquidation"
        if more or not isinstance(event, BookMessage):
            return "? an event is missing"
        return self._reason_of_book(key, event)

    def _is_published(self, key: str, order: Liquidation) -> bool:
        return (key, order.timestamp, order.side, order.price) in self._liquidations

    def _reason_of_state(self, what: str, line: RawLine, topic: str) -> str:
        last_at = self._last_at.get((line.key, topic))
        if last_at is None:
            return f"{what} waits for the other channels"
        is_soon = line.local_timestamp // 1000 - last_at < MIN_INTERVAL
        return f"{what} within a second of the last" if is_soon else f"? a {what} is missing"

    def _reason_of_candle(self, line: RawLine, candle: Candle) -> str:
        if candle.start < self._candles.get(line.key, 0):
            return "candle of the past"
        return self._reason_of_state("candle", line, "market.candles")

    def _reason_of_book(self, key: str, depth: BookMessage) -> str:
        if not self._books[key].live:
            return "book waits for its snapshot"
        if depth.kind == "seed":
            return "snapshot not needed"
        applied = depth.last <= self._sequences.get(key, -1)
        return "book update already applied" if applied else "? a book update is missing"

    def _follow_events(self, place: Place) -> None:
        for topic, body in self._follower.events.get(place, ()):
            key = f"{body['exchange']}:{body['symbol']}"
            self._last_at[key, topic] = body["local_timestamp"]
            if topic == "market.liquidations":
                self._liquidations.add((key, body["timestamp"], body["side"], body["price"]))
            if topic == "market.candles" and body["origin"] == "exchange":
                self._candles[key] = body["end"] if body["closed"] else body["start"]
            if topic == "market.books":
                self._books[key].live = self._books[key].live or not self._books[key].opened
                self._sequences[key] = body["sequence"]
            elif topic == "market.gaps":
                self._books[key].on_gap(body)

    # Trades

    def check_trades(self, key: str, true: range, rows: list[Body]) -> None:
        """Check a key's stored trades (`id`, `at`) against the true ids.

        Each is stored once, or missing because it was mutated, or within a reported loss.
        """
        stored = {_number(key, row["id"]): int(row["at"]) for row in rows}
        if len(stored) != len(rows):
            duplicates = [each for each, times in Counter(row["id"] for row in rows).items() if times > 1]
            self.problem("trade stored twice", f"{key} {duplicates[:5]}")
        known = sorted(number for number in stored if number in true)
        if not known:
            self.problem("no trades", key)
            return
        mutated, losses = self._mutated_trades(), self._losses.get(key, [])
        for number in range(known[0], known[-1] + 1):
            if number in stored:
                continue
            position = bisect_left(known, number)
            between = stored[known[position - 1]], stored[known[position]]
            if number in mutated:
                self.counts["trades mutated"] += 1
            elif any(begin <= between[1] and between[0] <= end for begin, end in losses):
                self.counts["trades within a reported loss"] += 1
            else:
                self.problem("trade lost", f"{key} {number} between {between}")

    def _mutated_trades(self) -> set[int]:
        return {
            int(number)
            for each in self._mutations
            if each["what"] == "data"
            for number in _ID.findall(each["original"].encode())
        }

    def _all_losses(self) -> dict[str, list[tuple[int, int]]]:
        """Return, by key, the times (µs) without trades that status events and gaps report, as begin and end."""
        found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        since: dict[str, int] = {}
        for place in sorted(self._follower.events):
            for topic, body in self._follower.events[place]:
                key, now = f"{body['exchange']}:{body['symbol']}", body["local_timestamp"]
                if topic == "market.gaps" and (body.get("channel") == "trades" or body["cause"] == "lost"):
                    found[key].append((body.get("since") or now - 10_000_000, now))
                elif topic == "market.status" and "trades" in (body["channels"] or ["trades"]):
                    if body["type"] in ("disconnected", "stopped", "silent", "refused", "delisted"):
                        since.setdefault(key, now - body["age"])
                    elif body["type"] in ("subscribed", "resumed") and key in since:
                        found[key].append((since.pop(key), now + 1_000_000))
        for key, begin in since.items():
            found[key].append((begin, 1 << 62))
        return found

    # What is stored

    def check_stored(self, table: str, topic: str, sources: list[str]) -> None:
        """Check that every event of the topic is in the table once, or rejected by ClickHouse with a dead letter."""
        rejected = {
            orjson.loads(body["frame"])["source"]
            for name, body in self._follower.others
            if name == "dead_letters" and body["source"].startswith(f"sink-{topic}:") and body["frame"].endswith("}")
        }
        self.counts["rows rejected"] += len(rejected)
        wanted = self._follower.sources[topic]
        if len(set(sources)) != len(sources):
            duplicates = [source for source, times in Counter(sources).items() if times > 1]
            self.problem("row stored twice", f"{table} {duplicates[:5]}")
        if missing := sorted(wanted - set(sources) - rejected):
            self.problem("event not stored", f"{table} lacks {len(missing)}: {missing[:5]}")
        if more := sorted(set(sources) - wanted):
            self.problem("row without an event", f"{table} has {len(more)} more: {more[:5]}")


def _frame_of(line: RawLine) -> tuple[bytes, str] | None:
    """Return a line's frame and its SHA-256, or None for a marker without a frame."""
    if not line.frame.startswith(MARKER):
        return line.frame, hashlib.sha256(line.frame).hexdigest()
    marker = decode_text(line.frame)
    if isinstance(marker, Oversized):
        return unwrap(marker), marker.sha256
    if isinstance(marker, Wrapped):
        frame = unwrap(marker)
        return frame, hashlib.sha256(frame).hexdigest()
    return None


def _instrument(key: str) -> Instrument:
    """Return the instrument of a key, as a worker sees it: listed, assumed from its name, or unknown."""
    exchange, _, symbol = key.partition(":")
    assert symbol != EVERY
    if key in _INSTRUMENTS:
        return _INSTRUMENTS[key]
    with suppress(SymbolError):
        return assumed_instrument(feed_of(exchange, symbol).name, exchange, symbol)
    return Instrument(exchange=exchange, feed="", symbol=UNKNOWN, exchange_symbol="", kind="spot", base="", quote="")


def _has_rows(frame: bytes) -> bool:
    return any(name in frame for name in (b"@trade", b'"trade_id"', b'"tradeId"', b"trade.detail"))


def _number(key: str, text: str) -> int:
    """Return a trade's number, as the simulators count; a negative one for an id that was mutated."""
    return int(text) if text.isdecimal() and len(text) < 20 else -1 - hash((key, text)) % (1 << 60)


def _shape(reason: str) -> str:
    """Return a reason without its details, so that similar ones can be counted."""
    named = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\b[0-9a-f]{64}\b", "…", reason)
    return re.sub(r"[0-9]+", "#", named)[:100]
