"""The command says what is wrong before it asks anything."""

import asyncio
import time

import pytest

from marketprism.backfill.run import Wanted, run
from marketprism.simulator import Simulators
from schemas.errors import SettingsError, StackError
from schemas.settings import load_settings

DAY = 86_400_000_000  # µs


async def attempt(wanted: Wanted, files: str = "") -> None:
    async with Simulators(("binance-spot", "okx"), rate=0) as simulators:
        settings = load_settings(kafka="127.0.0.1:1", endpoints=simulators.endpoints)
        await run(settings, wanted, 1.0, files, lambda *_: None, lambda text: None)


def wanted(**changes: object) -> Wanted:
    now = time.time_ns() // 1000
    made = Wanted("binance-spot", ["BTC-USDT"], ["candles"], "1m", now - DAY, now)
    return made._replace(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "files", "text"),
    [
        ({"kinds": ["books"]}, "", "--kind books: use one of candles, trades"),
        ({"interval": "7m"}, "", "--interval 7m: use one of 1s, 1m"),
        (
            {"begin": time.time_ns() // 1000 + DAY, "end": time.time_ns() // 1000 + 2 * DAY},
            "",
            "--from .* is in the future: begin at a time in the past",
        ),
        ({"symbols": ["ABC-USDT"]}, "", "binance-spot does not list ABC-USDT"),
        ({"kinds": ["candles", "funding"]}, "", "no history of funding of BTC-USDT by REST; it has: candles, trades"),
        ({"kinds": ["funding"]}, "http://127.0.0.1:1", "--source files has no funding of binance-spot"),
        ({"feed": "okx"}, "http://127.0.0.1:1", "--source files has no candles of okx"),
    ],
)
async def test_what_cannot_be_filled(changes: dict[str, object], files: str, text: str) -> None:
    """Kinds, intervals, ranges and symbols that there are not."""
    with pytest.raises(SettingsError, match=text):
        await attempt(wanted(**changes), files)


async def test_too_new() -> None:
    """What live data has not been stored of yet is left to it."""
    with pytest.raises(SettingsError, match="two minutes before now"):
        await attempt(wanted(begin=time.time_ns() // 1000 - 1))


async def test_no_broker() -> None:
    """Without a broker nothing can be written."""
    with pytest.raises(StackError, match="no broker answers"):
        await asyncio.wait_for(attempt(wanted()), 30)
