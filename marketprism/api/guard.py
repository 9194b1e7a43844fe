"""Reject what the API must not answer: other hosts and origins, no token, too much; and set headers for browsers."""

import hmac
import ipaddress
from collections import OrderedDict

from aiolimiter import AsyncLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketprism.api.problems import RequestProblem, problem_response
from schemas.errors import SettingsError
from schemas.origins import OwnHosts
from schemas.settings import Settings

COOKIE = "marketprism_token"
_MAX_BODY = 65_536  # bytes
_CLIENTS = 1000  # whose rates are remembered
_NO_TOKEN = "send the token of the setting `api_token`: `Authorization: Bearer …`, or open /?token=… in the browser"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def check_exposure(settings: Settings) -> None:
    """Raise `SettingsError` if others than this machine could ask without a token."""
    host = settings.api_address.rpartition(":")[0].strip("[]")
    if not settings.api_token and not is_loopback(host):
        raise SettingsError(
            f"api_address {settings.api_address} can be reached from other machines: set api_token "
            "(MARKETPRISM_API_TOKEN) to a secret of 16 characters or more, or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware around everything that is served."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._own = OwnHosts(settings.api_address.rpartition(":")[0], settings.api_hosts)
        self._token = settings.api_token.encode()
        self._rates = Rates(settings.api_requests_per_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if problem := await self._problem(scope, headers):
            await _reject(problem, scope, receive, send)
            return
        if "transfer-encoding" in headers:
            read = await _read(receive)
            if read is None:
                await _reject(_too_large(), scope, receive, send)
                return
            receive = read
        if scope.get("method") == "HEAD":
            scope = dict(scope, method="GET")  # the server sends no body for what was asked as HEAD
        await self._app(scope, receive, _with_headers(send))

    async def _problem(self, scope: Scope, headers: Headers) -> RequestProblem | None:
        address = tuple(scope.get("server") or ("", 0))
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if not self._own.allows(hosts, [], address):
            return RequestProblem(403, "the Host of this request is not this server: see the setting `api_hosts`")
        if not self._own.allows(hosts, origins, address):
            return RequestProblem(403, "requests from pages of other origins are not answered")
        if self._token and not self._has_token(headers) and not _is_sign_in(scope):
            return RequestProblem(401, _NO_TOKEN, {"WWW-Authenticate": "Bearer"})
        if not await self._rates.admit((scope.get("client") or ("",))[0]):
            return RequestProblem(
                429, f"more than {self._rates.limit} requests a second from this address", {"Retry-After": "1"}
            )
        if _length(headers) > _MAX_BODY:
            return _too_large()
        return None

    def _has_token(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        cookies = cookie_parser(headers.get("cookie", ""))
        token = given.strip() if kind.lower() == "bearer" else cookies.get(COOKIE, "")
        return hmac.compare_digest(token.encode(), self._token)


class Rates:
    """Request rates by client address. `limit`: requests a second; 0: no limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._limiters: OrderedDict[str, AsyncLimiter] = OrderedDict()

    async def admit(self, client: str) -> bool:
        """Count a request. Return False if it is one too many."""
        if not self.limit:
            return True
        limiter = self._limiters.pop(client, None) or AsyncLimiter(self.limit, 1)
        self._limiters[client] = limiter
        if len(self._limiters) > _CLIENTS:
            self._limiters.popitem(last=False)
        if not limiter.has_capacity():
            return False
        await limiter.acquire()  # at once, as there is capacity
        return True


def _is_sign_in(scope: Scope) -> bool:
    """Whether a browser brings the token in the address of the page; the page's route checks it."""
    return scope["type"] == "http" and scope["path"] == "/" and b"token=" in scope["query_string"]


def _too_large() -> RequestProblem:
    return RequestProblem(413, f"the body is larger than {_MAX_BODY} bytes")


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdigit() and len(text) < 20 else 0


async def _read(receive: Receive) -> Receive | None:
    """Read a body that has no length, and return what hands it on; None if it is too large."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BODY:
            return None
        if not message.get("more_body", False):
            break
    whole: Message = {"type": "http.request", "body": body, "more_body": False}
    messages = iter([whole])

    async def again() -> Message:
        return next(messages, None) or await receive()

    return again


def _with_headers(send: Send) -> Send:
    async def completed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return completed


async def _reject(problem: RequestProblem, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_response(problem.status, str(problem), problem.headers)
    if scope["type"] == "websocket" and "websocket.http.response" in scope.get("extensions", {}):
        await response(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": str(problem)})
    else:
        await response(scope, receive, _with_headers(send))
