"""The processors' output is the same, byte for byte: moving and renaming code must not change what it publishes.

`golden.json` holds the number of records and a hash, by topic. A commit that alters the output on purpose says which
field and why, and rewrites the file: `python -m tests.streams.test_golden`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from marketprism.captures.capture import open_capture
from marketprism.captures.merge import CaptureMerge
from marketprism.captures.replay_lines import ReplayLines
from schemas.feeds import FEEDS
from schemas.instruments import Instrument
from schemas.keys import input_partition_of
from schemas.settings import load_settings
from streams.arbitrage.join import JoinProcessor
from streams.raw_processor import RawProcessor
from tests.frames import T0, binance, deribit, htx, line, marker, okx, tick
from tests.streams.test_mutations import FIXTURES

GOLDEN = Path(__file__).with_name("golden.json")
RECORDINGS = Path(__file__).parents[3] / "shared" / "frames"
# Without fees, a quote pays against an earlier copy of itself.
SETTINGS = load_settings(partitions=4, fees_bps=dict.fromkeys(FEEDS, 0.0))
RECORDED = {
    "binance-spot-btcusdt-20240808.gz": "binance-spot",
    "binance-spot-ethusdt-20240808.gz": "binance-spot",
    "binance-usdm-btcusdt-20240808.gz": "binance-usdm",
    "binance-usdm-ethusdt-20240808.gz": "binance-usdm",
    "okx-v5-20220406.gz": "okx",
    "htx-spot-2021.gz": "htx-spot",
    "deribit-2021.gz": "deribit",
}
ROUNDS = 40

Place = tuple[str, int]  # exchange and partition
Digests = dict[str, list[Any]]
Joins = list[tuple[int, bytes]]  # the join's partition, and a record for it


class Hashes:
    """Number of records and their hash, by topic and for all topics together."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}
        self._counts: dict[str, int] = {}

    def add(self, topic: str, key: bytes | None, value: bytes) -> None:
        for name in (topic, "all"):
            found = self._hashes.setdefault(name, hashlib.sha256())
            found.update(b"%b\t%b\t%b\n" % (topic.encode(), key or b"", value))
            self._counts[name] = self._counts.get(name, 0) + 1

    def digests(self) -> Digests:
        return {topic: [self._counts[topic], self._hashes[topic].hexdigest()] for topic in sorted(self._hashes)}


class Restarting:
    """State of one partition, restored from its own checkpoint before every `every`-th record; 0: never."""

    def __init__(self, create: Any, every: int) -> None:
        self._create, self._every = create, every
        self._state = create()
        self._entries: dict[str, bytes] = {}
        self._count = 0

    def process(self, offset: int, value: bytes) -> Any:
        self._count += 1
        if self._every and not self._count % self._every:
            self._restart()
        return self._state.process(offset, value)

    def _restart(self) -> None:
        self._entries |= {key: self._state.dump(key) for key in self._state.take_changed()}
        for key in self._state.take_gone():
            self._entries.pop(key, None)
        offset, self._state = self._state.offset, self._create()
        for key, entry in self._entries.items():
            self._state.load(key, entry)
        self._state.offset = offset


def normalized(records: Iterable[tuple[Place, bytes]], restart_every: int = 0) -> tuple[Digests, Joins]:
    """Return the digests of all events, and the records for the join."""
    hashes, joins, partitions = Hashes(), Joins(), dict[Place, Restarting]()
    for offset, (place, value) in enumerate(records):
        if place not in partitions:
            partitions[place] = Restarting(partial(RawProcessor, *place, SETTINGS), restart_every)
        out = partitions[place].process(offset, value)
        for topic, key, body in out.records:
            hashes.add(topic, key, body)
        joins += [(partition, b"\n".join(lines)) for partition, lines in out.joins.items()]
    return hashes.digests(), joins


def joined(records: Joins, restart_every: int = 0) -> Digests:
    """Return the digests of what the join publishes."""
    hashes = Hashes()
    partitions = [
        Restarting(partial(JoinProcessor, number, SETTINGS), restart_every) for number in range(SETTINGS.partitions)
    ]
    for offset, (number, record) in enumerate(records):
        for topic, key, value in partitions[number].process(offset, record).records:
            hashes.add(topic, key, value)
    return hashes.digests()


def echoed(records: Joins) -> Joins:
    """Return every record twice: Binance's quotes also come from OKX, some records later."""
    out = Joins()
    for number, (partition, record) in enumerate(records):
        out.append((partition, record))
        if number >= 50:
            partition, late = records[number - 50]
            late = late.replace(b'"source":"binance:', b'"source":"okx:').replace(b"tick\tbinance", b"tick\tokx")
            out.append((partition, late.replace(b'"exchange":"binance"', b'"exchange":"okx"')))
    return out


def recorded() -> Iterator[tuple[Place, bytes]]:
    """Yield the recordings as a replay writes them, each line as a record."""
    captures = [open_capture(FEEDS[feed], RECORDINGS / name) for name, feed in RECORDED.items()]
    lines = ReplayLines(captures, SETTINGS.partitions)
    for captured in CaptureMerge(captures):
        yield from (((exchange, partition), value) for exchange, partition, _, value in lines.of(captured))
    yield from (((exchange, partition), value) for exchange, partition, _, value in lines.end())


def generated() -> Iterator[tuple[Place, bytes]]:
    """Yield frames of every feed and all markers many times, with gaps, malformed frames and duplicates among them."""
    for number in range(ROUNDS):
        at = number * 3_000
        for instrument, fixture in FIXTURES:
            yield from _of(instrument, _opening(instrument, number, at))
            sent = fixture if number % 4 else [*fixture, *fixture[1:], b"{}", fixture[0][:-9], b"[1]"]
            for step, frame in enumerate(sent):
                yield from _of(instrument, [line(instrument.key, _with_new_ids(frame, number), at + 10 + step)])
            yield from _of(instrument, _closing(instrument, number, at + 900))
        yield from _answers(number, at + 940)
        yield from _opportunity(number, at + 950)
        for exchange in ("binance", "okx", "htx", "deribit"):
            for partition in range(SETTINGS.partitions):
                for second in range(3):
                    yield (exchange, partition), tick(exchange, at + 1_000 * (second + 1))


def _of(instrument: Instrument, lines: list[bytes]) -> Iterator[tuple[Place, bytes]]:
    place = instrument.exchange, input_partition_of(instrument.key, SETTINGS.partitions)
    yield from ((place, value) for value in lines)


def _with_new_ids(frame: bytes, number: int) -> bytes:
    """Return the frame with new trade ids in every second round; the other rounds repeat the last ids."""
    for known in (b"5100000001", b"2300000045", b"104400550011", b"5007009000001", b"400500600"):
        frame = frame.replace(known, b"%d" % (int(known) + number // 2 * 3))
    return frame.replace(b"150200300", b"%d" % (150200300 + number // 2 * 3))


def _opening(instrument: Instrument, number: int, at: float) -> list[bytes]:
    key, every = instrument.key, ["trades", "books", "quotes"]
    definition = instrument.model_dump() | ({"contract_size": "5"} if number == 30 else {})
    return [
        marker(key, "instrument", at, **definition),
        *([marker(key, "listed", at, reason="new")] if number == 0 else []),
        *([marker(key, "connected", at, channels=every)] if number % 5 == 0 else []),
        marker(key, "subscribed", at, channels=every),
        marker(key, "clock", at, offset=1000 + number, round_trip=2000),
    ]


def _closing(instrument: Instrument, number: int, at: float) -> list[bytes]:
    key = instrument.key
    markers: list[tuple[str, dict[str, Any]]] = [
        ("lost", {"frames": 3, "reason": "the broker is away"}),
        ("silent", {"channel": "books", "age": 75_000_000, "step": "resubscribe"}),
        ("resumed", {"channel": "books", "age": 1_000_000}),
        ("rate_limited", {"status": 429, "seconds": 2.5, "where": "rest"}),
        ("notice", {"reason": "maintenance"}),
        ("renewing", {"channels": ["trades"], "reason": "operator"}),
        ("renewed", {"channels": ["trades"], "reason": "operator"}),
        ("refused", {"channels": ["quotes"], "reason": "no such stream"}),
        ("disconnected", {"channels": ["books", "trades", "quotes"], "reason": "1006"}),
        ("connected", {"channels": ["books", "trades", "quotes"], "reason": ""}),
        ("mystery", {}),
        ("delisted", {"reason": "closed"}),
    ]
    kind, fields = markers[number % len(markers)]
    return [
        marker(key, kind, at, **fields),
        line(key, b'{"marketprism":"frame"}', at),
        line(key, b"two\nlines", at),
    ]


def _answers(number: int, at: float) -> Iterator[tuple[Place, bytes]]:
    """Yield answers of polls, which repeat periods of the answers before; every tenth is malformed."""
    periods = [T0 // 1_000_000 - 300_000 * (60 - number - each) for each in range(3)]
    shares = {"symbol": "BTCUSDT", "longShortRatio": "1.5", "longAccount": "0.6", "shortAccount": "0.4"}
    rows = [shares | {"timestamp": stamp} for stamp in periods]
    okx_rows = {"code": "0", "data": [[str(stamp), "1.25"] for stamp in reversed(periods)]}
    okx_path = "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract?instId=BTC-USDT-SWAP&period=5m"
    for instrument, channel, path, body in (
        (binance.USDM, "account_ratios", "/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT&period=5m", rows),
        (okx.SWAP, "account_ratios", okx_path, okx_rows),
    ):
        answer: Any = {} if number % 10 == 9 else body
        fields = {"channel": channel, "path": path, "due": T0 // 1000 + int(at * 1000) - 5, "body": answer}
        yield from _of(instrument, [marker(instrument.key, "answer", at, **fields)])


def _opportunity(number: int, at: float) -> Iterator[tuple[Place, bytes]]:
    """Yield spot quotes of Binance and OKX, of which one pays against the other in every second round."""
    bid, ask = ("11.5", "12") if number % 2 else ("10", "11")
    sequence = 100_000 + number
    for instrument, quote in (
        (binance.SPOT, binance.quote(sequence, bid, "3", ask, "1")),
        (okx.SPOT, okx.bbo(sequence, "10", "4", "11", "5")),
        (htx.SPOT, htx.spot_bbo(seqId=str(141220330007 + number))),
        (deribit.PERPETUAL, deribit.quote("86749.5", "10", "86750.5", "300.0")),
    ):
        yield from _of(instrument, [line(instrument.key, quote, at)])


def golden() -> dict[str, Digests]:
    """Return what `golden.json` holds."""
    digests, joins = normalized(generated())
    found = {"generated": digests, "generated, joined": joined(joins)}
    if RECORDINGS.is_dir():
        digests, joins = normalized(recorded())
        found |= {"recorded": digests, "recorded, joined": joined(echoed(joins))}
    return found


@pytest.mark.parametrize("restart_every", [0, 7])
def test_generated_frames(restart_every: int) -> None:
    """Frames of every feed give the expected records, even if the worker restarts every few records."""
    known = orjson.loads(GOLDEN.read_bytes())
    digests, joins = normalized(generated(), restart_every)
    assert digests == known["generated"]
    assert joined(joins, restart_every) == known["generated, joined"]


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")
def test_recordings() -> None:
    """The recordings give the expected records, and their quotes the expected signals."""
    known = orjson.loads(GOLDEN.read_bytes())
    digests, joins = normalized(recorded())
    assert digests == known["recorded"]
    assert joined(echoed(joins)) == known["recorded, joined"]


if __name__ == "__main__":
    GOLDEN.write_bytes(orjson.dumps(golden(), option=orjson.OPT_INDENT_2) + b"\n")
