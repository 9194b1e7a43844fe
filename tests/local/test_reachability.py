"""Which feeds can be reached, and what is said of it, with real sockets."""

import asyncio
import sys
import time
from contextlib import suppress

import pytest

from marketprism.local import reach_watch
from marketprism.local.reach_text import describe, shortly, verdict
from marketprism.local.reach_watch import ReachWatch
from marketprism.local.reachability import Attempt, Reach, check_hosts
from marketprism.simulator import Simulators
from schemas.settings import Settings, load_settings
from tests.ingest.rigs import ProxyRig, black_hole

REFUSED = {"ws": "ws://127.0.0.1:9", "rest": "http://127.0.0.1:9"}


async def test_hosts_through_proxies() -> None:
    """Each host is tried through each proxy. What fails is a note that says why, without the password."""
    async with Simulators(["okx"]) as simulators, ProxyRig("http") as http, ProxyRig("socks5") as socks:
        own = simulators.endpoints["okx"]
        settings = load_settings(
            feeds="okx",
            endpoints={"okx": {"ws": ["ws://127.0.0.1:9", own["ws"]], "rest": own["rest"]}},
            proxies=[http.url("wrong-word"), socks.url(), "direct"],
        )
        found = await check_hosts(settings)
    assert [each.name for each in found] == ["okx sockets"] * 6 + ["okx REST"] * 3
    assert [each.ok for each in found] == [None, None, None, True, None, True, None, True, True]
    sockets, rest = [each.text for each in found[:6]], [each.text for each in found[6:]]
    assert sockets[0].endswith("cannot be used: the proxy answers HTTP 401 (check user and password)")
    assert " works, and is used (" in sockets[3]
    assert sockets[4] == "ws://127.0.0.1:9 cannot be used: Connection refused"
    assert sockets[5].startswith(f"{own['ws']} works (")
    assert "check user and password" in rest[0]
    assert not any(word in each.text for each in found for word in ("wrong-word", "s3cret"))


class Watching:
    """A `ReachWatch` that runs, and the lines that it says."""

    def __init__(self, settings: Settings) -> None:
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self.watch = ReachWatch(settings, self._lines.put_nowait)
        self._task = asyncio.create_task(self.watch.run())

    async def line(self) -> str:
        async with asyncio.timeout(20):
            return await self._lines.get()

    async def __aenter__(self) -> "Watching":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


async def test_each_feed_is_said_as_soon_as_it_is_known() -> None:
    """One that does not answer holds up no other, and the verdict comes last."""
    async with Simulators(["okx"]) as simulators, black_hole() as port, ProxyRig("http") as proxy:
        silent = {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"}
        endpoints = {**simulators.endpoints, "htx-spot": REFUSED, "deribit": silent, "binance-spot": REFUSED}
        settings = load_settings(
            feeds=list(endpoints), endpoints=endpoints, proxies={"binance": proxy.url("wrong-word")}
        )
        async with Watching(settings) as watching:
            lines = [await watching.line() for _ in range(5)]
    assert lines[3] == "deribit        cannot be reached: no answer in time: " + f"{silent['ws']} and 1 other"
    okx, htx, binance = (next(line for line in lines if line.startswith(name)) for name in ("okx", "htx", "binance"))
    assert okx.startswith(f"okx            can be reached: {simulators.endpoints['okx']['ws']} (")
    assert htx == "htx-spot       cannot be reached: Connection refused: ws://127.0.0.1:9 and 1 other"
    assert "cannot be reached: the proxy answers HTTP 401 (check user and password): ws://127.0.0.1:9 " in binance
    assert lines[4].startswith("1 of 4 feeds can be reached.")
    assert "wrong-word" not in " ".join(lines)
    assert {feed for feed, problem in watching.watch.problems.items() if problem} == set(endpoints) - {"okx"}


async def test_a_feed_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds without data are tried again. Data is a proof too, however the trial ended."""
    monkeypatch.setattr(reach_watch, "_PAUSES", (0.1, 0.1))
    monkeypatch.setattr(reach_watch, "_CHECK_EVERY", 0.05)
    async with Simulators(["okx"]) as simulators, ProxyRig("http") as proxy:
        await proxy.kill()
        settings = load_settings(
            feeds=["okx", "htx-spot"],
            endpoints={**simulators.endpoints, "htx-spot": REFUSED},
            proxies={"okx": proxy.url()},
        )
        async with Watching(settings) as watching:
            lines = [await watching.line() for _ in range(3)]
            assert lines[2].startswith("No feed can be reached. MarketPrism keeps trying")
            await proxy.start()
            assert await watching.line() == "okx can be reached now."
            watching.watch.delivering = lambda: {"okx", "htx-spot"}
            assert await watching.line() == "htx-spot can be reached now."
            watching.watch.delivering = lambda: {"okx"}
            assert await watching.line() == "htx-spot cannot be reached any more: Connection refused."


async def test_nothing_is_waited_for_at_the_end() -> None:
    """Cancelling does not wait for a host that does not answer."""
    async with black_hole() as port:
        silent = {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"}
        async with Watching(
            load_settings(feeds=["okx", "htx-spot"], endpoints={"okx": silent, "htx-spot": REFUSED})
        ) as watching:
            await watching.line()
            began = time.monotonic()
    assert time.monotonic() - began < 2


def reach(*attempts: Attempt) -> Reach:
    return Reach("okx", list(attempts))


def test_a_feed_needs_sockets_and_rest() -> None:
    """The best of each are named; if one of them is missing, all of its failures are."""
    works, other = Attempt("ws", "wss://a", 0.05), Attempt("ws", "wss://b", 0.01)
    rest = Attempt("rest", "https://c", 0.1)
    assert describe(reach(works, other, rest)) == "okx            can be reached: wss://a (50 ms), https://c (100 ms)"
    assert shortly(reach(works, other, rest)) == ""
    failed = [Attempt("rest", f"https://{name}", 0.1, "HTTP 451") for name in "cde"]
    text = describe(reach(works, *failed, Attempt("rest", "https://f", 4, "no answer in time")))
    assert text.endswith("cannot be reached: HTTP 451: https://c and 2 others; no answer in time: https://f")
    assert shortly(reach(works, *failed)) == "REST: HTTP 451"
    denied = Attempt("ws", "wss://a", 0.1, "the proxy answers HTTP 407 (check user and password)")
    assert shortly(reach(denied, *failed)) == "the proxy answers HTTP 407"


def test_verdicts() -> None:
    """Whoever reaches nothing is told what goes on, and what to do."""
    assert verdict({"okx": "", "deribit": ""}) == "All 2 feeds can be reached."
    some, none = verdict({"okx": "", "deribit": "HTTP 451"}), verdict({"okx": "HTTP 451"})
    assert some.startswith("1 of 2 feeds can be reached.")
    assert none.startswith("No feed can be reached.")
    assert "make demo" in none
    for text in (some, none):
        assert "MARKETPRISM_PROXIES" in text
        assert "marketprism doctor" in text


async def test_hosts_that_cannot_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no process can be started, or it writes something else, all feeds are tried again a moment later."""
    works = reach_watch._COMMAND
    broken = [("/nonexistent",), (sys.executable, "-c", "print('no JSON')")]
    monkeypatch.setattr(reach_watch, "_COMMAND", broken.pop())

    def mend(*_: object) -> float:
        monkeypatch.setattr(reach_watch, "_COMMAND", broken.pop() if broken else works)
        return 0.1

    monkeypatch.setattr("ingest.supervision.backoff_delay", mend)
    async with Watching(load_settings(feeds="okx", endpoints={"okx": REFUSED})) as watching:
        assert (await watching.line()).startswith("okx            cannot be reached: Connection refused: ")
    assert not broken
