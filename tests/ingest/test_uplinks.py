"""Uplinks: which one is used, what a failure means, and the return to a better one."""

import asyncio
import socket
import ssl
from asyncio import IncompleteReadError
from dataclasses import replace

import aiohttp
import aiohttp_socks
import pytest
import python_socks
from websockets.datastructures import Headers
from websockets.exceptions import InvalidProxyStatus, InvalidStatus, ProxyError
from websockets.http11 import Response

from ingest.exchanges import CONNECTORS
from ingest.timings import DEFAULT_TIMINGS
from ingest.uplink_failures import Failure, cannot_connect, failure_of
from ingest.uplinks import Uplink, Uplinks, uplinks_of
from schemas.proxies import Proxy
from schemas.settings import load_settings

P, Q = Proxy.parse("http://user:secret@p:1"), Proxy.parse("socks5://q:1")
REFUSED, SILENT = Failure("refused"), Failure("no answer in time", timed_out=True)
DEAD_PROXY = Failure("no proxy", of_proxy=True)
A, B, C = Uplink("wss://a"), Uplink("wss://b"), Uplink("wss://c")
FAST = replace(DEFAULT_TIMINGS, probe_pause_s=0.3, max_probe_pause_s=1.0)


class Rig:
    """Uplinks, the changes that they report, and probes, which fail for the uplinks in `down`."""

    def __init__(self, *uplinks: Uplink) -> None:
        self.changes: list[tuple[Uplink, str]] = []
        self.probed: list[tuple[float, Uplink]] = []
        self.down: set[Uplink] = set()
        self.uplinks = Uplinks("okx", "ws", uplinks, FAST, lambda *change: self.changes.append(change))

    async def probe(self, uplink: Uplink) -> None:
        self.probed.append((asyncio.get_running_loop().time(), uplink))
        if uplink in self.down:
            raise ConnectionRefusedError(111, "refused")


def test_order() -> None:
    """Through the first proxy each host is tried, then through the next one. Hosts of the settings come first."""
    settings = load_settings(proxies={"okx": ["socks5://q:1", "direct"]}, endpoints={"deribit": {"ws": "ws://d/"}})
    assert uplinks_of(settings, "okx", "ws", ["wss://a", "wss://b"]) == [
        Uplink("wss://a", Q), Uplink("wss://b", Q), A, B,
    ]  # fmt: skip
    assert uplinks_of(settings, "deribit", "ws", ["wss://a"]) == [Uplink("ws://d")]
    assert uplinks_of(settings, "deribit", "rest", ["https://a"]) == [Uplink("https://a")]


def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used, except for hosts of NO_PROXY, and never beside those of the settings."""
    monkeypatch.setenv("https_proxy", "http://user:secret@p:1")
    monkeypatch.setenv("no_proxy", "b")
    assert uplinks_of(load_settings(), "okx", "ws", ["wss://a", "wss://b"]) == [Uplink("wss://a", P), B]
    direct = load_settings(proxies="direct")
    assert uplinks_of(direct, "okx", "ws", ["wss://a", "wss://b"]) == [A, B]


def test_failures_and_all_down() -> None:
    """The next one that is not known to fail is used; if all fail, they are tried in turn."""
    rig = Rig(A, B, C)
    uplinks = rig.uplinks
    assert uplinks.choose() == A
    assert uplinks.on_failed(A, REFUSED)
    assert uplinks.choose() == B
    assert uplinks.on_failed(B, Failure("HTTP 451"))
    assert not uplinks.on_failed(C, REFUSED)
    assert not uplinks.works
    tried = []
    for _ in range(4):
        tried.append(uplinks.choose())
        uplinks.on_failed(tried[-1], REFUSED)
    assert tried == [A, B, C, A]
    uplinks.on_connected(B)
    assert (uplinks.choose(), uplinks.has_better(C), uplinks.has_better(A)) == (B, True, False)
    assert rig.changes == [
        (B, "wss://a: refused"), (C, "wss://a: refused; wss://b: HTTP 451"), (B, "wss://a: refused"),
    ]  # fmt: skip


def test_only_one() -> None:
    """With a single uplink nothing is reported, and it is tried for ever."""
    rig = Rig(A)
    rig.uplinks.on_connected(A)
    assert not rig.uplinks.on_failed(A, REFUSED)
    assert rig.uplinks.choose() == A
    assert not rig.changes


def test_a_proxy_fails_for_all_hosts() -> None:
    """A dead proxy, or one through which two hosts do not answer, is not tried with others. A good one is."""
    through = [Uplink(f"wss://{host}", P) for host in "abc"]
    for failures in ([DEAD_PROXY], [SILENT, SILENT]):
        rig = Rig(*through, A)
        for failure in failures:
            rig.uplinks.on_failed(rig.uplinks.choose(), failure)
        assert rig.uplinks.choose() == A
        assert "secret" not in rig.changes[-1][1]
        rig.uplinks.on_connected(through[0])
        assert rig.uplinks.choose() == through[0]
        rig.uplinks.on_failed(through[0], REFUSED)
        assert rig.uplinks.choose() == through[1]
    rig = Rig(*through, A)
    rig.uplinks.on_failed(through[0], SILENT)
    rig.uplinks.on_failed(through[1], REFUSED)
    assert rig.uplinks.choose() == through[2]


def test_sockets_without_a_frame() -> None:
    """The second such socket in a row is a failure, for ten minutes, unless there is no other uplink."""
    rig, alone = Rig(A, B), Rig(A)
    assert not rig.uplinks.on_mute(A)
    rig.uplinks.on_received(A)
    assert not rig.uplinks.on_mute(A)
    rig.uplinks.on_connected(A)
    assert rig.uplinks.on_mute(A)
    assert rig.uplinks.choose() == B
    assert rig.changes[-1] == (B, "wss://a: connects, and sends nothing")
    rig.uplinks.on_connected(A)
    assert rig.uplinks.on_mute(A)
    assert not any(alone.uplinks.on_mute(A) for _ in range(5))
    assert alone.uplinks.works


async def test_recovery() -> None:
    """What fails is probed with back-off, if it is better than what is used; once it works, it is used again."""
    rig = Rig(A, B, C)
    rig.down = {A, B}
    rig.uplinks.on_failed(A, REFUSED)
    rig.uplinks.on_failed(C, REFUSED)
    probing = asyncio.create_task(rig.uplinks.run(rig.probe))
    async with asyncio.timeout(5):
        while len(rig.probed) < 3:
            await asyncio.sleep(0.02)
        rig.down = set()
        while rig.uplinks.choose() != A:
            await asyncio.sleep(0.02)
    probing.cancel()
    assert {uplink for _, uplink in rig.probed} == {A}
    pauses = [after - before for (before, _), (after, _) in zip(rig.probed, rig.probed[1:], strict=False)]
    assert pauses[0] < pauses[1]
    assert rig.changes == [(B, "wss://a: refused"), (A, "first choice")]


async def test_a_requested_wait_is_kept() -> None:
    """An exchange that forbids us to connect for a while is not probed until then."""
    rig = Rig(A, B)
    rig.uplinks.on_failed(A, Failure("HTTP 403", wait=60.0))
    probing = asyncio.create_task(rig.uplinks.run(rig.probe))
    await asyncio.sleep(0.8)
    probing.cancel()
    assert not rig.probed


def _caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def _status(status: int) -> Response:
    return Response(status, "", Headers())


REFUSAL = ConnectionRefusedError(111, "Connection refused")
CERTIFICATE = ssl.SSLCertVerificationError("x")
CERTIFICATE.verify_message = "self-signed certificate"
DENIED = "the proxy answers HTTP 407 (check user and password)"
BAD_LOGIN = "the proxy answers: wrong login (check user and password)"


@pytest.mark.parametrize(
    ("error", "has_proxy", "expected"),
    [
        (REFUSAL, False, Failure("Connection refused")),
        (socket.gaierror(-2, "Name or service not known"), False, Failure("Name or service not known")),
        (REFUSAL, True, Failure("cannot connect to the proxy: Connection refused", of_proxy=True)),
        (ConnectionResetError(104, "reset"), True, Failure("Connection reset by peer")),
        (TimeoutError("timed out"), True, SILENT),
        (CERTIFICATE, True, Failure("certificate: self-signed certificate")),
        (InvalidStatus(_status(451)), False, Failure("HTTP 451")),
        (InvalidStatus(_status(403)), False, Failure("HTTP 403", wait=300.0)),
        (InvalidStatus(_status(429)), False, Failure("HTTP 429", wait=60.0, is_limit=True)),
        (InvalidProxyStatus(_status(407)), True, Failure(DENIED, of_proxy=True)),
        (InvalidProxyStatus(_status(502)), True, Failure("the proxy answers HTTP 502")),
        (
            _caused(ProxyError("failed"), python_socks.ProxyError("wrong login")),
            True,
            Failure(BAD_LOGIN, of_proxy=True),
        ),
        (aiohttp_socks.ProxyError("no route", 4), True, Failure("the proxy answers: no route")),
        (aiohttp_socks.ProxyError("502 Bad Gateway", 502), True, Failure("the proxy answers HTTP 502")),
        (
            _caused(aiohttp_socks.ProxyConnectionError("x"), REFUSAL),
            True,
            Failure("cannot connect to the proxy: Connection refused", of_proxy=True),
        ),
        (aiohttp.ServerDisconnectedError(), True, Failure("Server disconnected")),
        (IncompleteReadError(b"", 2), True, Failure("the proxy has closed the connection", of_proxy=True)),
        (_caused(aiohttp.ClientError(), ValueError("\udcff")), True, Failure("\\udcff")),
        (_caused(aiohttp.ClientOSError(104, "x"), OSError(104, "x")), True, Failure("Connection reset by peer")),
    ],
)
def test_meaning_of_errors(error: BaseException, has_proxy: bool, expected: Failure) -> None:
    """Each error says what is wrong, and whether it is the proxy."""
    assert failure_of(error, has_proxy) == expected


def test_errors_of_requests() -> None:
    """A host that resets a connection or answers 503 has a problem; one that cannot be reached is another matter."""
    assert cannot_connect(IncompleteReadError(b"", 2))  # of a SOCKS proxy that closes the connection
    assert cannot_connect(_caused(aiohttp.ClientConnectionError(), CERTIFICATE))
    assert cannot_connect(aiohttp.SocketTimeoutError())
    assert cannot_connect(aiohttp_socks.ProxyTimeoutError())
    assert not cannot_connect(aiohttp.ServerDisconnectedError())
    assert not cannot_connect(_caused(aiohttp.ClientConnectionError(), aiohttp.ClientOSError(104, "reset")))


@pytest.mark.parametrize("feed", CONNECTORS)
def test_the_exchanges_hosts(feed: str) -> None:
    """Each connector has hosts, the main one first, and none twice."""
    connector = CONNECTORS[feed]
    for hosts, scheme in ((connector.ws, "wss://"), (connector.rest, "https://")):
        assert hosts
        assert len(set(hosts)) == len(hosts)
        assert all(host.startswith(scheme) and not host.endswith("/") for host in hosts)


def test_patience() -> None:
    """A host that has never answered is given up early, if there is another."""
    uplinks, alone = Rig(A, B).uplinks, Rig(A).uplinks
    assert alone.patience_s(A) == 2 * alone.connect_timeout_s
    assert uplinks.patience_s(A) == uplinks.connect_timeout_s
    uplinks.on_connected(A)
    uplinks.on_failed(A, REFUSED)
    assert uplinks.patience_s(A) == 2 * uplinks.connect_timeout_s
