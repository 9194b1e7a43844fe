"""Probes of the simulated exchanges: unchanged, changed, and away."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
import pytest

from ingest.exchanges import CONNECTORS
from marketprism.local.broker import free_port
from marketprism.probe.cell import FALLBACK, Cell
from marketprism.probe.feed import FeedProbe
from marketprism.probe.run import Probe
from marketprism.probe.shape import Shape, compare
from marketprism.probe.summary import rows_of
from marketprism.simulator import Change, Move, Silent, Simulators
from schemas.channels import CHANNELS, POLLS
from schemas.errors import FrameError
from schemas.instruments import Instrument
from schemas.markers import answer_of
from schemas.settings import load_settings
from streams.normalize import parse, parse_answer
from streams.normalize.messages import Normalized

SECONDS = 4.0

_ALIKE = {name for name in CHANNELS if "candles_" in name} - {"candles_1m", "perpetual_candles_1m"}

Place = tuple[str, str, str]  # feed, channel and symbol


class Sample(NamedTuple):
    """A frame that was probed."""

    cell: Cell
    instrument: Instrument
    frame: bytes


class Unchanged(NamedTuple):
    """A finished probe of all feeds, and the first frames of each channel."""

    probe: Probe
    samples: list[Sample]


async def probed(endpoints: dict[str, Any]) -> Probe:
    """Probe all feeds for some seconds: as many as a busy machine takes to send all requests."""
    probe = Probe(load_settings(endpoints=endpoints), 60.0)
    running = asyncio.create_task(probe.run())
    await asyncio.sleep(SECONDS)
    while not running.done() and any("unknown" in verdicts(feed) for feed in probe.feeds):
        await asyncio.sleep(0.1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return probe


def verdicts(feed: FeedProbe) -> set[str]:
    """Return the verdicts so far."""
    return {feed.verdict_of(cell).result for cell in feed.cells}


def changes(probe: Probe) -> dict[Place, str]:
    """Return the reasons for all changes."""
    found = {}
    for feed in probe.feeds:
        for cell in feed.cells:
            verdict = feed.verdict_of(cell)
            assert verdict.result != "unknown", (feed.name, cell.channel, verdict.reason)
            if verdict.result == "changed":
                found[feed.name, cell.channel, cell.symbol] = verdict.reason
    return found


@pytest.fixture(scope="module")
def unchanged() -> Unchanged:
    """Probe all simulated exchanges."""
    frames: list[tuple[Cell, bytes]] = []
    on_frame = Cell.on_frame

    def recorded(cell: Cell, now: float, frame: bytes = b"") -> None:
        on_frame(cell, now, frame)
        if cell.frames <= 2 and (not cell.is_request or cell.channel == FALLBACK) and cell.channel not in _ALIKE:
            frames.append((cell, frame))

    async def run() -> Probe:
        async with Simulators(rate=3) as simulators:
            return await probed(simulators.endpoints)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cell, "on_frame", recorded)
        probe = asyncio.run(run())
    instruments = {(each.feed, each.symbol): each for feed in probe.feeds for each in feed.instruments}
    return Unchanged(probe, [Sample(cell, instruments[cell.feed, cell.symbol], frame) for cell, frame in frames])


def test_unchanged(unchanged: Unchanged) -> None:
    """Nothing has changed. Books, quotes and polls are never quiet; trades may be, on a busy machine."""
    assert changes(unchanged.probe) == {}
    assert unchanged.probe.result == "quiet"
    for feed in unchanged.probe.feeds:
        quiet = {cell.channel for cell in feed.cells if feed.verdict_of(cell).result == "quiet"}
        assert quiet.isdisjoint(("books", "quotes", FALLBACK, *POLLS)), feed.name
        assert {cell.symbol for cell in feed.cells if cell.channel == FALLBACK} == {
            each.symbol for each in feed.instruments
        }
        assert abs(feed.clock_offset or 0) < 1_000_000
        assert {cell.book.sequence for cell in feed.cells if cell.book} == {"held"}


def test_one_instrument_of_each_kind(unchanged: Unchanged) -> None:
    """Instruments of each kind are probed, also of those that the settings do not name."""
    found = {feed.name: [each.symbol for each in feed.instruments] for feed in unchanged.probe.feeds}
    assert found["binance-coinm"] == ["BTC-USD-261225", "BTC-USD-PERP"]
    assert found["okx"] == ["BTC-USD-270625-95000-C", "BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USDT"]


def test_summary(unchanged: Unchanged) -> None:
    """The candles of all intervals, and a channel of all instruments, are one row."""
    rows = {row.channel: row for row in rows_of(next(feed for feed in unchanged.probe.feeds if feed.name == "okx"))}
    assert (rows["books"].acknowledged, rows["books"].sequence, rows["books"].fields) == ("4/4", "held", 0)
    assert rows["candles"].acknowledged == "72/72"
    assert (rows["listing"].fields, rows["settlement_prices"].fields) == (None, None)
    assert rows["settlement_prices"].reason.startswith("BTC-USD-270625-95000-C: nothing in ")


class Key(NamedTuple):
    """A key of a channel's frames."""

    feed: str
    channel: str
    path: str


def required(shape: Shape, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the way to each required key; `[]` stands for all items of a list."""
    if shape.items is not None:
        yield from required(shape.items, (*path, "[]"))
    for name, each in shape.fields.items():
        if not each.is_optional:
            yield (*path, name)
        yield from required(each, (*path, name))


def drop(value: Any, path: tuple[str, ...]) -> None:
    """Remove a key from a JSON value, wherever the path leads."""
    name, *rest = path
    for item in value if name == "[]" else [value] if name in value else []:
        if name == "[]":
            drop(item, tuple(rest))
        elif rest:
            drop(item[name], tuple(rest))
        else:
            del item[name]


def parsed(sample: Sample, frame: bytes) -> list[Normalized] | str:
    """Return the messages of a frame, or why it is rejected."""
    try:
        if sample.cell.channel == FALLBACK:
            row = CONNECTORS[sample.cell.feed].best_levels
            path = f"{row.path}?{urlencode(row.query(sample.instrument.exchange_symbol))}"
            return parse_answer(answer_of(FALLBACK, path, 0, frame), sample.instrument, 0)
        return parse(frame, sample.instrument, 0)
    except FrameError as error:
        return str(error)


def required_and_read(sample: Sample) -> Iterator[tuple[Key, bool]]:
    """Yield the required keys of a frame, and whether its normalizer misses them when they are gone."""
    before, value = parsed(sample, sample.frame), orjson.loads(sample.frame)
    assert before
    assert not isinstance(before, str), before
    [shape] = [each for each in sample.cell.shapes if not compare((each,), value)]
    for path in required(shape):
        changed = deepcopy(value)
        drop(changed, path)
        if changed != value:
            key = Key(sample.cell.feed, sample.cell.channel, ".".join(path))
            yield key, parsed(sample, orjson.dumps(changed)) != before


def test_what_is_required_is_read(unchanged: Unchanged) -> None:
    """Without a key that is required, a normalizer rejects the frame, or makes something else of it."""
    cells = [cell for feed in unchanged.probe.feeds for cell in feed.cells]
    silent = {(cell.feed, cell.channel) for cell in cells if not cell.frames}  # some keys are of some instruments
    keys = {each for sample in unchanged.samples for each in required_and_read(sample)}
    unread = {key for key, is_read in keys if not is_read and (key, True) not in keys}
    # The connectors read the subject of a frame. A trade without `X` is taken for one of the market.
    others = ("stream", "arg.instType", "arg.instFamily", "data.X")
    assert {key for key in unread if key[:2] not in silent and key.path not in others} == set()


async def test_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each planted change is named, with what has changed, and no other."""
    monkeypatch.setitem(CHANNELS, "quotes", replace(CHANNELS["quotes"], usual_s=2.0))
    linear, month = "BTC-USDT-PERP", 2_600_000.0
    plans = (
        Silent(feed="okx", symbol="BTC-USDT", channel="quotes"),
        Change(feed="htx-linear", symbol=linear, channel="trades", field="price", name="px", seconds=month),
        Change(feed="okx", symbol=linear, channel="books", field="checksum", value=123456, seconds=month),
        Change(feed="binance-usdm", symbol=linear, channel="trades", field="X", value="HIDDEN", seconds=month),
        Change(feed="deribit", symbol="BTC-USD-PERP", channel="trades", field="direction", value="both", seconds=month),
        Move(feed="binance-coinm", path="/dapi/v1/openInterest", seconds=month),
        Move(feed="htx-linear", path="/ws_index", seconds=month),
        Move(feed="htx-spot", path="/market/depth", seconds=month),
    )
    async with Simulators() as simulators:
        for plan in plans:
            await simulators.plant(plan)
        probe = await probed(simulators.endpoints)
    found, missing = changes(probe), "returned 404"
    assert {place for place, reason in found.items() if missing in reason} == {
        ("binance-coinm", "open_interest", "BTC-USD-PERP"),
        ("binance-coinm", "open_interest", "BTC-USD-261225"),
        ("htx-spot", "fallback", "BTC-USDT"),
    }
    rest = {place: reason for place, reason in found.items() if missing not in reason}
    assert rest.keys() == {
        ("okx", "quotes", "BTC-USDT"),
        ("htx-linear", "trades", linear),
        ("okx", "books", linear),
        ("binance-usdm", "trades", linear),
        ("deribit", "trades", "BTC-USD-PERP"),
        ("htx-linear", "mark_prices", linear),
        ("htx-linear", "index_prices", linear),
    }
    assert rest["okx", "quotes", "BTC-USDT"].startswith("acknowledged, but silent for ")
    assert rest["okx", "books", linear] == "the checksum is always 123456, while the book changes"
    assert rest["binance-usdm", "trades", linear] == 'unknown values: data.X "HIDDEN"'
    assert "unknown fields: tick.data[].px; missing fields: tick.data[].price" in rest["htx-linear", "trades", linear]
    assert 'unknown values: params.data[].direction "both"' in rest["deribit", "trades", "BTC-USD-PERP"]
    assert rest["htx-linear", "mark_prices", linear].endswith("HTTP 404")
    assert probe.result == "changed"


async def test_unreachable() -> None:
    """A feed that cannot be reached is not changed, and costs the others nothing."""
    async with Simulators(("htx-spot",)) as simulators:
        away = f"127.0.0.1:{free_port()}"
        endpoints = simulators.endpoints | {"okx": {"ws": f"ws://{away}", "rest": f"http://{away}"}}
        probe = Probe(load_settings(endpoints=endpoints, feeds=("okx", "htx-spot")), 3.0)
        await probe.run()
    okx, htx = probe.feeds
    listing = okx.cells[0]
    assert okx.verdict_of(listing).result == "unknown"
    assert "Cannot connect to host" in okx.verdict_of(listing).reason
    assert htx.result in ("ok", "quiet")
    assert probe.result == "unknown"
