"""Subscriptions of one connection."""

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from ingest.exchanges.base import ChannelRow, Control
from ingest.exchanges.okx import Okx
from ingest.subscriptions import Subscriptions
from ingest.timings import DEFAULT_TIMINGS
from ingest.watchdog import Watchdog
from marketprism.simulator import Simulators
from schemas.channels import CHANNELS, CORE_CHANNELS
from schemas.instruments import Instrument, assumed_instrument
from schemas.markers import Connection, Markers
from schemas.settings import Settings, load_settings
from tests.ingest.reading import ingesting, kinds, read_lines, until

SPOT = "binance:BTC-USDT"


async def test_books_without_updates(settings: Settings) -> None:
    """A book without any update gets its snapshot two seconds after the acknowledgement."""
    async with Simulators(["binance-spot"], rate=0) as quiet:
        changes = {"endpoints": quiet.endpoints, "symbols": ["BTC-USDT"], "kinds": CORE_CHANNELS}
        here = load_settings(**settings.model_dump() | changes)
        async with ingesting(here, "binance-spot"):
            lines = await until(here, "binance", SPOT, lambda found: "snapshot" in found)
            await asyncio.sleep(3)
            found = kinds((await read_lines(here, "binance"))[SPOT])
    subscribed_at = lines[kinds(lines).index("subscribed")].local_timestamp
    assert 1.9e9 < lines[kinds(lines).index("snapshot")].local_timestamp - subscribed_at < 4e9
    assert "frame" not in found
    assert found.count("snapshot") == 1


PATH = "/ws/v5/public"
CONTRACTS = [assumed_instrument("okx", "okx", symbol) for symbol in ("BTC-USDT-PERP", "BTC-USDT-261225", "BTC-USDT")]


class Rig:
    """Subscriptions of contracts that share a channel about their index. `markers`: those written; `sent`: messages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        index = ChannelRow(
            "index-tickers", PATH, of=("perp", "future"), subject=lambda name: "-".join(name.split("-")[:2])
        )
        monkeypatch.setattr(Okx, "channels", {"books": Okx.channels["books"], "trades": index})
        self.instruments: dict[str, Instrument] = {}
        self.markers: list[tuple[str, Markers]] = []
        self.sent: list[dict[str, Any]] = []
        watchdog = Watchdog({name: row.timeout_s for name, row in CHANNELS.items()})
        self.connector = Okx(kinds=("trades",))
        self.subscriptions = Subscriptions(
            self.connector,
            self.instruments,
            PATH,
            DEFAULT_TIMINGS,
            self,  # type: ignore[arg-type]
            watchdog,
            None,
            self.send,
            lambda each: None,
        )

    def write_frame(self, stamp: int, key: str, frame: bytes) -> None:
        raise AssertionError("no frame was received")

    def write_marker(self, stamp: int, key: str, marker: Markers) -> None:
        self.markers.append((key, marker))

    async def send(self, text: str) -> None:
        self.sent.append(orjson.loads(text))

    def add(self, *instruments: Instrument) -> None:
        self.instruments.update((each.exchange_symbol, each) for each in instruments)
        self.subscriptions.subscribe([each.exchange_symbol for each in instruments])

    async def run(self) -> None:
        """Send what is queued."""
        task = asyncio.create_task(self.subscriptions.run())
        await asyncio.sleep(0.05)
        task.cancel()

    def acknowledged(self) -> Iterator[str]:
        return (key for key, marker in self.markers if isinstance(marker, Connection))


async def test_instruments_share_the_subscription_of_their_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is subscribed to once, its acknowledgement is marked for each, and only the last one unsubscribes."""
    rig = Rig(monkeypatch)
    rig.add(*CONTRACTS)  # spot has no such channel
    await rig.run()
    assert [(each["op"], each["args"]) for each in rig.sent] == [
        ("subscribe", [{"channel": "index-tickers", "instId": "BTC-USDT"}])
    ]
    route = rig.connector.route_of("BTC-USDT-SWAP", "trades")
    rig.subscriptions.on_acknowledged(Control("acknowledged", rig.sent[0]["id"], (route,)))
    assert list(rig.acknowledged()) == ["okx:BTC-USDT-PERP", "okx:BTC-USDT-261225"]
    assert rig.subscriptions.by_route[route].keys == ("okx:BTC-USDT-PERP", "okx:BTC-USDT-261225")
    rig.add(assumed_instrument("okx", "okx", "BTC-USDT-270326"))  # later: nothing to request
    assert list(rig.acknowledged())[2:] == ["okx:BTC-USDT-270326"]
    for name in ("BTC-USDT-SWAP", "BTC-USDT-261225"):
        rig.subscriptions.unsubscribe(name)
    await rig.run()
    assert len(rig.sent) == 1
    rig.subscriptions.unsubscribe("BTC-USDT-270326")
    await rig.run()
    assert [each["op"] for each in rig.sent] == ["subscribe", "unsubscribe"]
    assert rig.subscriptions.by_route == {}
