"""Run every example against a real broker, and compare docs/client.md with them."""

import asyncio
import importlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from tests.client.publishing import book, now, publish, trade
from tests.sinks.events import event

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
PERP = "BTC-USDT-PERP"


def _quote(exchange: str, stamp: int) -> dict[str, Any]:
    head = {"exchange": exchange, "symbol": PERP, "local_timestamp": stamp, "asks": [["2.5", "1"]]}
    return event("market.quotes", f"{exchange}:0:{stamp}:0:0", **head)


def _events(stamp: int) -> dict[str, list[dict[str, Any]]]:
    """Return events received at `stamp`, µs."""
    place = f"0:{stamp}:0:0"
    at = {"local_timestamp": stamp, "source": f"okx:{place}"}
    return {
        "market.trades": [trade(1, "okx", symbol, price="100.5", amount="2", **at) for symbol in ("BTC-USDT", PERP)],
        "market.books": [book(1, [["99", "1"]], [["101", "3"]], type="snapshot", **at)],
        "market.quotes": [_quote("okx", stamp), _quote("binance", stamp)],
        "market.funding": [event("market.funding", f"okx:{place}", exchange="okx", symbol=PERP)],
        "signals.arbitrage": [event("signals.arbitrage", f"join:{place}", type="opened")],
    }


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("trades_from_now", ["okx BTC-USDT sell 100.5 2"]),
        ("trades_from_a_time", [" 100.5 2"]),
        ("trades_of_a_range", ["trades, VWAP 100.5"]),
        ("rebuilt_book", ["live 99 × 1 | 101 × 3", "spread 2"]),
        ("signals", ["BTC-USDT: buy 0.1 on binance at 60000.123456789012345678,", ": 0.25 after fees"]),
        ("several_exchanges", ["okx BTC-USDT-PERP 1.5 2.5", "binance BTC-USDT-PERP 1.5 2.5"]),
        ("several_kinds", ["trade okx Trade(source=", "funding okx Funding(source="]),
    ],
)
async def test_example(
    name: str,
    printed: list[str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The example prints what was published."""
    monkeypatch.setenv("MARKETPRISM_KAFKA", settings.kafka)
    monkeypatch.setenv("MARKETPRISM_TOPIC_PREFIX", settings.topic_prefix)
    monkeypatch.syspath_prepend(ROOT)
    main: Callable[[], Awaitable[None]] = importlib.import_module(f"examples.{name}").main
    text = ""
    async with asyncio.timeout(30):
        await _publish_all(settings)
        running = asyncio.ensure_future(main())
        while not all(each in text for each in printed):
            await asyncio.wait({running}, timeout=0.1)
            text += capsys.readouterr().out
            if running.done():
                running.result()
                assert all(each in text for each in printed), text
            await _publish_all(settings)  # nothing shows when the example has found its place
    running.cancel()
    await asyncio.wait({running})


async def _publish_all(settings: Settings) -> None:
    for topic, events in _events(now()).items():
        await publish(settings, topic, events)


def test_every_example_is_run_and_documented() -> None:
    """Each file in examples/ is run above, is short, and is in docs/client.md as it is."""
    [run] = [mark for mark in test_example.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert sorted(name for name, _ in run.args[1]) == EXAMPLES
    page = (ROOT / "docs" / "client.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for name in EXAMPLES:
        text = (ROOT / "examples" / f"{name}.py").read_text("utf-8")
        assert len(text.splitlines()) < 21
        assert text in blocks, f"docs/client.md lacks examples/{name}.py"
