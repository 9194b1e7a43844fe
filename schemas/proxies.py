"""Proxies: how their addresses are written, and which one the environment names."""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from schemas.errors import SettingsError

DIRECT = "direct"
"""Stands for a connection without a proxy."""

_LONGEST = 255  # characters of user or password: all that SOCKS5 can send
_SERVER = re.compile(r"[\w.-]+(:\d+)?")
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}  # by scheme, where none is given
_FORM = "SCHEME://host:port or SCHEME://user:password@host:port, with special characters as %2F"


@dataclass(frozen=True)
class Proxy:
    """Proxy server. Its text is its address without the password."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Return the proxy of an address. Raise `ValueError`, whose text never has the password, if it is none."""
        scheme = text.partition("://")[0]
        if scheme not in _PORTS:
            raise ValueError(f"a proxy is {DIRECT} or begins with {', '.join(f'{name}://' for name in _PORTS)}")
        try:
            parts = urlsplit(text)
            port = parts.port or _PORTS[scheme]
            has_more = bool(parts.path.strip("/") or parts.query or parts.fragment)
        except ValueError:
            raise ValueError(_malformed(text)) from None
        if not parts.hostname or has_more or bool(parts.username) != bool(parts.password):
            raise ValueError(_malformed(text))
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not (user + password).isascii() or max(len(user), len(password)) > _LONGEST:
            raise ValueError(f"user and password of a proxy have at most {_LONGEST} characters, all of them ASCII")
        return cls(scheme, parts.hostname, port, user, password)

    @property
    def url(self) -> str:
        """The address with its password: never show it."""
        return self._url(f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@")

    def __str__(self) -> str:
        return self._url(f"{self.user}:***@")

    def _url(self, login: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{login if self.user else ''}{host}:{self.port}"


def proxy_for(address: str) -> Proxy | None:
    """Return the proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names for an address, unless `NO_PROXY` does.

    This machine itself is never reached through it. Raise `SettingsError` if it is not a proxy.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if _is_loopback(host) or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    named = getproxies()
    for scheme in ("https" if parts.scheme in ("https", "wss") else "http", "all"):
        if text := named.get(scheme):
            try:
                return Proxy.parse(text if "://" in text else f"http://{text}")
            except ValueError as error:
                raise SettingsError(f"{scheme.upper()}_PROXY: {error}") from None
    return None


def _malformed(text: str) -> str:
    """Say how to write an address, and show of this one only what cannot be a part of a password."""
    scheme, host = text.partition("://")[0], text.rpartition("@")[2]
    shown = f"***@{host}" if _SERVER.fullmatch(host) else "…"  # what follows may be the login, written last
    return f"{scheme}://{shown} is not {_FORM}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
