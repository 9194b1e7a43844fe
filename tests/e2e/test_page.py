"""The page of a running system, in a real browser."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest

from marketprism.local.broker import free_port
from marketprism.local.roles import DASHBOARD
from marketprism.simulator import Arbitrage, Maintenance, Simulators
from schemas.settings import Settings
from tests.e2e.browser import NARROW, WIDE, Browser, browser, is_installed
from tests.e2e.pipeline import Pipeline

VIEWS = {
    "compare": "/compare/BTC-USDT",
    "arbitrage": "/arbitrage",
    "derivatives": "/derivatives/BTC-USDT-PERP",
    "quality": "/quality",
    "sql": "/sql",
}
# Text that is there once a view shows the market, and what moves then.
SHOWN = {
    "compare": ("#comparison", "86,"),
    "arbitrage": ("#feeds", "live"),
    "derivatives": ("#view-derivatives", "86,"),
    "quality": ("#view-quality", "BTC-USDT"),
    "sql": ("#view-sql", "VWAP"),
}
MOVING = {"compare": "#view-compare", "arbitrage": "#feeds", "derivatives": "#view-derivatives", "quality": "#feeds"}
_REPAINT = 0.3  # s after a change of size or theme

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not is_installed, reason="Chromium is not installed: apt-get install chromium chromium-driver"),
]


@asynccontextmanager
async def running(settings: Settings, logs: Path) -> AsyncIterator[tuple[str, Simulators]]:
    """Run the system with the page. Yield the page's address, and the exchanges."""
    async with Simulators(seed=5) as simulators:
        changed = {
            "endpoints": simulators.endpoints,
            "channels": ["candles_1m", "mark_prices", "open_interest", "liquidations", "long_short_ratios"],
            "api_address": f"127.0.0.1:{free_port()}",
        }
        run = Settings(**settings.model_dump() | changed)
        async with Pipeline(run, logs) as pipeline:
            await pipeline.sink()
            await pipeline.start(DASHBOARD.name, *DASHBOARD.arguments, ready=DASHBOARD.ready)
            await pipeline.worker()
            await pipeline.ingest()
            yield f"http://{run.api_address}", simulators


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Return where screenshots go: `$SCREENSHOTS`, or a directory of the test."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path / "screenshots")


async def test_every_view(settings: Settings, tmp_path: Path, screenshots: Path) -> None:
    """Each view moves, fits wide and narrow windows, light and dark, and neither fails nor breaks the policy."""
    async with running(settings, tmp_path / "logs") as (address, _):
        with browser() as window:
            await asyncio.to_thread(_check_views, window, address, screenshots)


def _check_views(window: Browser, address: str, screenshots: Path) -> None:
    for name, path in VIEWS.items():
        window.look(WIDE, True)
        window.driver.get(address + path)
        window.wait(partial(_shows, window, *SHOWN[name]), f"{name} shows the market")
        window.wait(lambda: window.text("#connection") == "live", "the page connects")
        if name in MOVING:
            window.wait(partial(_has_moved, window, MOVING[name]), f"{name} moves")
        if name == "quality":
            window.wait(partial(_says_a_score, window), "the hour in progress has a score")
        for size, width in ((WIDE, "wide"), (NARROW, "narrow")):
            for theme in ("dark", "light"):
                window.look(size, theme == "dark")
                window.wait(partial(_is_themed, window, theme), f"{name} becomes {theme}")
                time.sleep(_REPAINT)
                window.save(screenshots / f"{name}-{width}-{theme}.png")
                assert window.overflow() <= 0, f"{path} is wider than its window of {size}"
        assert window.complaints() == []
        _check_accessibility(window, name)


def _is_themed(window: Browser, theme: str) -> bool:
    return bool(window.run("return document.documentElement.dataset.theme === arguments[0]", theme))


def _shows(window: Browser, selector: str, text: str) -> bool:
    return text in window.text(selector)


def _has_moved(window: Browser, selector: str) -> bool:
    before: str = window.run("const seen = window.seen; window.seen = arguments[0]; return seen", window.text(selector))
    return bool(before) and before != window.text(selector)


def _says_a_score(window: Browser) -> bool:
    window.run("document.querySelector('#scores').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))")
    return "score" in window.text("#scores-cell")


def _check_accessibility(window: Browser, name: str) -> None:
    found = find_spec("axe_core_python")
    assert found is not None
    assert found.origin is not None
    window.run(Path(found.origin).with_name("axe.min.js").read_text())
    result: dict[str, Any] = window.driver.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(done, (error) => done({error: String(error)}))"
    )
    assert "error" not in result, result["error"]
    serious = [each for each in result["violations"] if each["impact"] in ("serious", "critical")]
    assert not serious, f"{name}: {orjson.dumps(serious, option=orjson.OPT_INDENT_2).decode()[:4000]}"


async def test_what_happens_is_seen(settings: Settings, tmp_path: Path) -> None:
    """An arbitrage appears and goes; a stopped exchange is down, polled, then back; another symbol is shown."""
    async with running(settings, tmp_path / "logs") as (address, simulators):
        with browser() as window:
            window.look(WIDE, True)
            times = await _watch(window, address, simulators)
            assert await asyncio.to_thread(window.complaints) == []
    print({what: round(seconds, 2) for what, seconds in times.items()})  # noqa: T201 - `pytest -s` shows them


async def _watch(window: Browser, address: str, simulators: Simulators) -> dict[str, float]:
    async def seen(condition: Any, what: str) -> float:
        return await asyncio.to_thread(window.wait, condition, what)

    times = {}
    await asyncio.to_thread(window.driver.get, f"{address}/arbitrage")
    await seen(lambda: window.text("#feeds").count("live") >= 6, "all feeds are live")
    await asyncio.sleep(5)
    planted = await simulators.plant(Arbitrage(symbol="BTC-USDT", buy="okx", sell="htx-spot", bps=90.0, seconds=6.0))
    times["arbitrage appears"] = await seen(lambda: "BTC-USDT" in window.text("#open"), "the arbitrage appears")
    await planted.over()
    times["arbitrage goes"] = await seen(lambda: "BTC-USDT" not in window.text("#open"), "the arbitrage goes")
    await seen(lambda: "BTC-USDT" in window.text("#view-arbitrage"), "it is in the history")
    stopped = await simulators.plant(Maintenance(feed="okx", seconds=10.0))
    times["exchange is down"] = await seen(lambda: _state(window, "okx") == "down", "okx is down")
    times["quotes go on by REST"] = await seen(lambda: _state(window, "okx") == "by REST", "okx is polled")
    await stopped.over(15.0)
    times["exchange is back"] = await seen(lambda: _state(window, "okx") in ("live", "degraded"), "okx is back")
    await asyncio.to_thread(window.driver.get, f"{address}/compare/BTC-USDT")
    await seen(lambda: "86," in window.text("#comparison"), "prices are shown")
    await asyncio.to_thread(window.run, _CHOOSE, "ETH-USDT")
    times["symbol is switched"] = await seen(lambda: _shows_ether(window.text("#comparison")), "ETH-USDT is shown")
    await seen(lambda: "’s own candles" in window.text("#candles-note"), "the exchange's candles are shown")
    await asyncio.to_thread(window.run, _CHOOSE_TRADES)
    await seen(lambda: "’s trades" in window.text("#candles-note"), "candles of the trades are shown")
    await seen(lambda: "O 3," in window.text("#candles-legend"), "the candle has prices")
    return times


def _shows_ether(prices: str) -> bool:
    return "3," in prices and "86," not in prices


def _state(window: Browser, feed: str) -> str:
    chip = str(
        window.run(
            "return [...document.querySelectorAll('#feeds button')].map((each) => each.innerText)"
            ".find((text) => text.startsWith(arguments[0])) ?? ''",
            feed,
        )
    )
    return next((state for state in ("starting", "live", "degraded", "by REST", "stale", "down") if state in chip), "")


_CHOOSE_TRADES = """
const origin = document.querySelector("#candles-origin");
origin.value = "trades";
origin.dispatchEvent(new Event("change", { bubbles: true }));
"""

_CHOOSE = """
const input = document.querySelector("#symbol");
input.focus();
input.value = arguments[0];
input.dispatchEvent(new Event("input", { bubbles: true }));
input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
"""
