"""Reject requests from other sites' pages.

A page in the operator's browser can have its own host name resolve to 127.0.0.1 (DNS rebinding) and then read the
responses of a local server. Its requests name that host in `Host`, and cross-origin requests also have an `Origin`.
"""

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class OwnHosts:
    """The names by which clients may address a server.

    `host` is the name that the server is configured to listen on. An own address must have the port that it listens on.
    A `listed` one must have its own port, or may have any if it names none.
    """

    def __init__(self, host: str, listed: Collection[str] = ()) -> None:
        self._own = {name.lower() for name in (*_LOOPBACK, host)}
        self._listed = {name.lower() for name in listed}

    def allows(self, hosts: Sequence[str], origins: Sequence[str], address: tuple[str, int]) -> bool:
        """Return whether a request names this server alone in `Host`, and is not from a page of another origin.

        `hosts`, `origins`: the values of these headers. `address`: where the request's connection arrived.
        """
        if len(hosts) != 1 or not self._is_own(hosts[0].lower(), address):
            return False
        return all(urlsplit(origin).netloc.lower() == hosts[0].lower() for origin in origins)

    def _is_own(self, given: str, address: tuple[str, int]) -> bool:
        name, port = _split(given)
        if name in self._listed or f"{name}:{port}" in self._listed:
            return True
        ip = f"[{address[0]}]" if ":" in address[0] else address[0]
        return name in self._own | {ip} and port == str(address[1])


def own_hosts_only(host: str, listed: Collection[str] = ()) -> Middleware:
    """Respond 403 to requests that `OwnHosts` does not allow."""
    own = OwnHosts(host, listed)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts, origins = (request.headers.getall(name, []) for name in ("Host", "Origin"))
        if not own.allows(hosts, [], _address(request)):
            raise web.HTTPForbidden(text="the Host of this request is not this server: see the setting `sql_hosts`\n")
        if not own.allows(hosts, origins, _address(request)):
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
