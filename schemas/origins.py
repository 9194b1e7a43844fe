"""Middleware that rejects requests from other sites' pages.

A page in the operator's browser can have its own host name resolve to 127.0.0.1 (DNS rebinding) and then read the
responses of a local server. Its requests name that host in `Host`, and cross-origin requests also have an `Origin`.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def own_hosts_only(host: str, listed: Collection[str] = ()) -> Middleware:
    """Respond 403 unless `Host` is the server's own address or `listed`, and `Origin` is absent or the same.

    `host` is the name that the server is configured to listen on. An own address must have the port that it listens on.
    A listed one must have its own port, or may have any if it names none.
    """
    own = {name.lower() for name in (*_LOOPBACK, host)}
    names = {name.lower() for name in listed}

    def allowed(request: web.Request, given: str) -> bool:
        name, port = _split(given)
        return name in names or f"{name}:{port}" in names or (name in own | {_ip(request)} and port == _port(request))

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = [text.lower() for text in request.headers.getall("Host", [])]
        if len(hosts) != 1 or not allowed(request, hosts[0]):
            raise web.HTTPForbidden(text="the Host of this request is not this server: see the setting `sql_hosts`\n")
        origins = request.headers.getall("Origin", [])
        if any(urlsplit(origin).netloc.lower() != hosts[0] for origin in origins):
            raise web.HTTPForbidden(text="requests from pages of other origins are not answered\n")
        return await handler(request)

    return check


def _split(host: str) -> tuple[str, str]:
    """Return the name and port of a `Host` header; the default port is HTTP's."""
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "80")


def _address(request: web.Request) -> tuple[str, int]:
    """Return the local address of the request's connection, or an empty one if it is already closed."""
    found = request.transport.get_extra_info("sockname") if request.transport else None
    return (str(found[0]), int(found[1])) if found else ("", 0)


def _ip(request: web.Request) -> str:
    ip, _ = _address(request)
    return f"[{ip}]" if ":" in ip else ip


def _port(request: web.Request) -> str:
    return str(_address(request)[1])
