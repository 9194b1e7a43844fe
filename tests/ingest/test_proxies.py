"""Ingest through proxies and over alternative hosts, with real sockets, simulated exchanges and a real broker."""

import asyncio
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
import pytest
import trustme
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve

from ingest.exchanges.binance import BinanceSpot
from ingest.timings import DEFAULT_TIMINGS
from marketprism.simulator import Simulators
from schemas.settings import Settings, load_settings
from streams.raw_processor import RawProcessor
from tests.ingest.reading import ingesting, is_flowing, kinds, read_lines, read_records, until
from tests.ingest.rigs import PASSWORD, USER, ProxyRig, behind_tls, black_hole, refusing, self_signed

SPOT, OKX = "binance:BTC-USDT", "okx:BTC-USDT"
FAST = replace(DEFAULT_TIMINGS, connect_timeout_s=1.0, probe_pause_s=1.0, max_probe_pause_s=2.0)


@pytest.fixture
async def http() -> AsyncIterator[ProxyRig]:
    async with ProxyRig("http") as rig:
        yield rig


@pytest.fixture
async def socks() -> AsyncIterator[ProxyRig]:
    async with ProxyRig("socks5") as rig:
        yield rig


def changed(settings: Settings, **values: object) -> Settings:
    return load_settings(**settings.model_dump() | values)


async def events(settings: Settings, exchange: str, topic: str) -> list[dict[str, Any]]:
    """Return the events of a topic that workers make of a raw topic."""
    found = []
    for number, records in (await read_records(settings, exchange)).items():
        processor = RawProcessor(exchange, number, settings)
        for offset, value in records:
            found += [orjson.loads(body) for of, _, body in processor.process(offset, value).records if of == topic]
    return sorted(found, key=lambda event: event["local_timestamp"])


async def host_changes(settings: Settings, exchange: str, symbol: str = "BTC-USDT") -> list[str]:
    """Return the reasons of the status `host_changed` of an instrument, in order."""
    found = await events(settings, exchange, "market.status")
    return [event["reason"] for event in found if (event["type"], event["symbol"]) == ("host_changed", symbol)]


async def test_each_exchange_through_its_own_proxy(here: Settings, http: ProxyRig, socks: ProxyRig) -> None:
    """Sockets and REST go through the proxy of their exchange, and through no other."""
    used = changed(here, proxies={"binance": http.url(), "okx": [socks.url()]})
    async with ingesting(used, "binance-spot", "okx", timings=FAST):
        await until(used, "binance", SPOT, lambda found: "snapshot" in found and is_flowing(found))
        await until(used, "okx", OKX, is_flowing)
        assert min(http.connections, socks.connections) >= 2  # one for REST, one for the socket
        both = http.connections + socks.connections
        await http.kill()
        await until(used, "binance", SPOT, lambda found: "disconnected" in found)
        await asyncio.sleep(1)
    assert "disconnected" not in kinds((await read_lines(used, "okx"))[OKX])
    assert http.connections + socks.connections <= both + 2


async def test_a_proxy_is_killed_and_recovers(here: Settings, http: ProxyRig, socks: ProxyRig) -> None:
    """The next one takes over, with a gap of what was lost alone. The first is used again, without a gap."""
    used = changed(here, proxies=[http.url(), socks.url()])
    async with ingesting(used, "binance-spot", timings=FAST):
        await until(used, "binance", SPOT, lambda found: "snapshot" in found and is_flowing(found))
        killed_at = time.monotonic()
        await http.kill()
        await until(used, "binance", SPOT, lambda found: found.count("snapshot") == 2)
        assert time.monotonic() - killed_at < 10
        await http.start()
        lines = await until(used, "binance", SPOT, lambda found: "renewed" in found)
        await asyncio.sleep(1)
    assert kinds(lines).count("disconnected") == 1
    lost_at = lines[kinds(lines).index("disconnected")].local_timestamp // 1000
    gaps = await events(used, "binance", "market.gaps")
    assert max(event["since"] for event in gaps) <= lost_at
    outages = [event for event in gaps if event["cause"] == "disconnected"]
    opened, closed = ({event["id"] for event in outages if event["type"] == kind} for kind in ("opened", "closed"))
    assert opened == closed != set()
    first, second = (
        f"{rig.url().partition('://')[0]}://{USER}:***@{rig.url().partition('@')[2]}" for rig in (http, socks)
    )
    changes = [reason for reason in await host_changes(used, "binance") if reason.startswith("ws ")]
    assert [f" through {each}: " in reason for reason, each in zip(changes, (first, second, first), strict=True)] == [
        True, True, True,
    ]  # fmt: skip
    assert changes[1].endswith("cannot connect to the proxy: Connection refused")
    assert changes[2].endswith("first choice")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_wrong_password(here: Settings, scheme: str) -> None:
    """It is said, without the password, and the next proxy is used."""
    async with ProxyRig(scheme) as rig:
        used = changed(here, proxies=[rig.url("wrong-word"), "direct"])
        with capture_logs() as logged:
            async with ingesting(used, "binance-spot", timings=FAST):
                await until(used, "binance", SPOT, is_flowing)
        said = [entry["reason"] for entry in logged if entry["event"] == "host changed"]
        assert len(said) == 2
        assert all("check user and password" in reason for reason in said)
        assert all("check user and password" in reason for reason in await host_changes(used, "binance"))
        assert "wrong-word" not in f"{logged}"
        assert "wrong-word" not in f"{await read_records(used, 'binance')}"


@pytest.mark.parametrize(
    ("blocked", "reason"),
    [(refusing, "Connection refused"), (black_hole, "no answer in time"), (self_signed, "certificate: ")],
)
async def test_a_host_is_blocked(
    here: Settings, simulators: Simulators, blocked: Callable[[], AbstractAsyncContextManager[int]], reason: str
) -> None:
    """Another host is used within 10 s, for REST and sockets, and the reason is reported."""
    own = simulators.endpoints["binance-spot"]
    async with blocked() as port:
        hosts = {"rest": [f"https://127.0.0.1:{port}", own["rest"]], "ws": [f"wss://127.0.0.1:{port}", own["ws"]]}
        used = changed(here, endpoints={"binance-spot": hosts})
        began = time.monotonic()
        async with ingesting(used, "binance-spot", timings=FAST):
            await until(used, "binance", SPOT, lambda found: "snapshot" in found)
        assert time.monotonic() - began < 10
    rest, ws = await host_changes(used, "binance")
    assert rest.startswith(f"rest {own['rest']}: https://127.0.0.1:{port}: {reason}")
    assert ws.startswith(f"ws {own['ws']}: wss://127.0.0.1:{port}: {reason}")


async def test_a_host_is_mute(here: Settings, simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that accepts sockets and never answers on them is left for another one after the second."""
    monkeypatch.setattr(BinanceSpot, "connection_timeout_s", 1.0)
    own, accepted = simulators.endpoints["binance-spot"], 0

    async def never_answer(socket: ServerConnection) -> None:
        nonlocal accepted
        accepted += 1
        await socket.wait_closed()

    async with serve(never_answer, "127.0.0.1", 0) as server:
        mute = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        used = changed(here, endpoints={"binance-spot": {"rest": own["rest"], "ws": [mute, own["ws"]]}})
        async with ingesting(used, "binance-spot", timings=FAST):
            await until(used, "binance", SPOT, is_flowing)
    assert accepted == 2
    assert await host_changes(used, "binance") == [
        f"ws {mute}: first choice", f"ws {own['ws']}: {mute}: connects, and sends nothing",
    ]  # fmt: skip


@asynccontextmanager
async def child_of(settings: Settings, log: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ingest as a child process."""
    with log.open("wb") as target:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ingest",
            env=settings.environment() | environment,
            stdin=DEVNULL,
            stdout=target,
            stderr=target,
        )
        try:
            yield child
        finally:
            child.terminate()
            await child.wait()


async def test_tls(here: Settings, simulators: Simulators, http: ProxyRig, socks: ProxyRig, tmp_path: Path) -> None:
    """Hosts are reached over TLS, through a proxy that itself is reached over TLS, and through a SOCKS proxy."""
    ca, certificate = trustme.CA(), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(certificate)
    async with AsyncExitStack() as stack:
        endpoints = {}
        for feed in ("binance-spot", "okx"):
            port = urlsplit(simulators.endpoints[feed]["rest"]).port or 0
            front = await stack.enter_async_context(behind_tls(port, ca))
            endpoints[feed] = {"ws": f"wss://127.0.0.1:{front}", "rest": f"https://127.0.0.1:{front}"}
        front = await stack.enter_async_context(behind_tls(http.port, ca))
        over_tls = http.url().replace("http://", "https://").replace(f":{http.port}", f":{front}")
        proxies = {"binance": over_tls, "okx": socks.url()}
        used = changed(here, feeds=["binance-spot", "okx"], endpoints=endpoints, proxies=proxies)
        async with child_of(used, tmp_path / "log", SSL_CERT_FILE=str(certificate)):
            await until(used, "binance", SPOT, lambda found: "snapshot" in found and is_flowing(found))
            await until(used, "okx", OKX, is_flowing)
        assert min(http.connections, socks.connections) >= 2  # one for REST, one for the socket


async def test_no_password_in_logs_and_processes(
    here: Settings, http: ProxyRig, socks: ProxyRig, tmp_path: Path
) -> None:
    """A child process shows no password: neither in its log, whatever fails, nor in the list of processes."""
    used = changed(
        here,
        feeds=["binance-spot", "okx"],
        proxies={"binance": [http.url("wrong-word"), http.url()], "okx": [socks.url("wrong-word"), socks.url()]},
        log_level="DEBUG",
    )
    log = tmp_path / "log"
    async with child_of(used, log) as child:
        await until(used, "binance", SPOT, is_flowing)
        await until(used, "okx", OKX, is_flowing)
        shown = " ".join(psutil.Process(child.pid).cmdline())
        await http.kill()
        await until(used, "binance", SPOT, lambda found: "disconnected" in found)
    text = log.read_text() + shown
    assert "check user and password" in text
    logins = [b64encode(f"{USER}:{word}".encode()).decode() for word in (PASSWORD, "wrong-word")]
    assert not any(secret in text for secret in (PASSWORD, "s3cret", "wrong-word", *logins))
