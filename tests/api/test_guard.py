"""What the API does not answer: other hosts and origins, no token, too much."""

from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from marketprism.api.guard import check_exposure
from marketprism.api.server import address_of
from marketprism.local.broker import free_port
from schemas.errors import SettingsError
from schemas.settings import load_settings
from tests.api.conftest import Served, serving

TOKEN = "a-long-random-secret"


@pytest.mark.parametrize(("host", "origin"), [("evil.example", ""), ("", "http://evil.example"), ("", "null")])
async def test_other_sites(served: Served, host: str, origin: str) -> None:
    """Neither another host's name nor another site's page is answered, over HTTP or WebSocket."""
    headers = {"Origin": origin} if origin else {}
    name, _, port = served.address.rpartition(":")
    host = host or served.address
    response = await served.client.get("/api/health", headers={"Host": host} | headers)
    assert (response.status_code, response.json()["status"]) == (403, 403)
    with pytest.raises(InvalidStatus) as rejected:
        await connect(f"ws://{host}/stream", host=name, port=int(port), additional_headers=headers)
    assert rejected.value.response.status_code == 403


async def test_own_pages(served: Served) -> None:
    """Our own page is answered, and told what a browser must not allow."""
    response = await served.client.get("/api/health", headers={"Origin": f"http://{served.address}"})
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    async with connect(f"ws://{served.address}/stream", origin=f"http://{served.address}"):  # type: ignore[arg-type]
        pass


@pytest.fixture
async def secret() -> AsyncIterator[Served]:
    """Serve with a token."""
    settings = load_settings(kafka="127.0.0.1:9", api_address=f"127.0.0.1:{free_port()}", api_token=TOKEN)
    async with serving(settings) as running:
        yield running


async def test_a_token(secret: Served) -> None:
    """With a token in the settings, nobody is answered without it."""
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Cookie": "marketprism_token=x"},
        {"Cookie": "a/b=c"},
    ):
        response = await secret.client.get("/api/health", headers=headers)
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (await secret.client.get("/")).status_code == 401
    response = await secret.client.get("/api/health", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    with pytest.raises(InvalidStatus):
        async with connect(f"ws://{secret.address}/stream"):
            pass


async def test_signing_in(secret: Served) -> None:
    """A browser brings the token in the page's address, and keeps it in a cookie that scripts cannot read."""
    assert (await secret.client.get("/", params={"token": "wrong"})).status_code == 401
    response = await secret.client.get("/", params={"token": TOKEN})
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await secret.client.get("/")).status_code == 200  # the client keeps cookies
    cookies = {"Cookie": f"marketprism_token={TOKEN}"}
    async with connect(f"ws://{secret.address}/stream", additional_headers=cookies):
        pass


async def test_too_large_bodies(served: Served) -> None:
    """The size of a body is bounded, whether it is announced or not."""
    assert (await served.client.post("/api/sql", content=b"x" * 70_000)).status_code == 413

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1_000

    assert (await served.client.post("/api/sql", content=parts())).status_code == 413


async def test_too_many_requests() -> None:
    """Requests beyond the limit are told when to try again."""
    settings = load_settings(kafka="127.0.0.1:9", api_address=f"127.0.0.1:{free_port()}", api_requests_per_s=5)
    async with serving(settings) as running:
        responses = [await running.client.get("/api/health") for _ in range(30)]
        rejected = [response for response in responses if response.status_code == 429]
        assert rejected
        assert rejected[0].headers["Retry-After"] == "1"
        assert responses[0].status_code == 200


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "192.168.1.2:8080", "prism.example:80"])
def test_exposed_addresses_need_a_token(address: str) -> None:
    """An address that others can reach is rejected without a token."""
    with pytest.raises(SettingsError, match="set api_token"):
        check_exposure(load_settings(api_address=address))
    check_exposure(load_settings(api_address=address, api_token=TOKEN))


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:8080"])
def test_loopback_needs_none(address: str) -> None:
    """Only this machine reaches loopback."""
    check_exposure(load_settings(api_address=address))


@pytest.mark.parametrize("path", ["/", "/api/health", "/api/openapi.json"])
async def test_head(served: Served, path: str) -> None:
    """HEAD is answered as GET is, without the body."""
    whole = await served.client.get(path)
    head = await served.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


async def test_what_is_no_view(served: Served) -> None:
    """Paths that are no view of the page are not answered with it."""
    for path, status in (("/favicon.ico", 404), ("/stream", 426), ("/api/nothing", 404), ("/static/none.js", 404)):
        assert (await served.client.get(path)).status_code == status, path
    assert "<title>" in (await served.client.get("/compare/BTC-USDT")).text


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("0.0.0.0", "http://localhost:8080/"),
        ("::", "http://localhost:8080/"),
        ("::1", "http://[::1]:8080/"),
    ],
)
def test_the_address_can_be_opened(host: str, address: str) -> None:
    """What is logged as the address works in a browser on this machine."""
    assert address_of(host, 8080) == address
