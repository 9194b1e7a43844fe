"""Say why an exchange cannot be reached, and whether its host or the proxy is to blame."""

import asyncio
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import aiohttp
import aiohttp_socks
import python_socks
from websockets.exceptions import InvalidProxyMessage, InvalidProxyStatus, InvalidStatus

from ingest.retry_after import handshake_wait
from schemas.logs import error_text

_PROXY_ERRORS = (python_socks.ProxyError, aiohttp_socks.ProxyError)
_NO_PROXY_ERRORS = (python_socks.ProxyConnectionError, aiohttp_socks.ProxyConnectionError)
_TIMEOUTS = (TimeoutError, python_socks.ProxyTimeoutError, aiohttp_socks.ProxyTimeoutError)
_BEYOND_PROXY = (ssl.SSLError, ConnectionResetError, BrokenPipeError)  # of a connection that the proxy has made
_DENIED = (401, 407)  # some proxies answer a wrong password with the former
_BLOCKED = (403, 451)  # statuses with which an exchange rejects whole networks and countries

_CLOSED_BY_PROXY = asyncio.IncompleteReadError  # by SOCKS, which lets it pass as it is

REST_ERRORS = (aiohttp.ClientError, OSError, *_PROXY_ERRORS, *_NO_PROXY_ERRORS, *_TIMEOUTS, _CLOSED_BY_PROXY)
"""What a request raises that was not answered."""


class Failure(NamedTuple):
    """Why nothing can be reached. `of_proxy`: no other host can be reached through the same proxy either.

    `wait`: seconds that the exchange asked us to wait. `is_limit`: it asked only that: the host works.
    """

    text: str
    of_proxy: bool = False
    timed_out: bool = False
    wait: float = 0.0
    is_limit: bool = False


def failure_of(error: BaseException, has_proxy: bool) -> Failure:
    """Return what an error means that a connection attempt has raised. `has_proxy`: it went through a proxy."""
    # A request reports a proxy by errors of its own, a socket by any OSError.
    any_is_of_proxy = has_proxy and not any(isinstance(each, aiohttp.ClientError) for each in _causes(error))
    for each in _causes(error):
        match each:
            case InvalidStatus():
                status, wait = each.response.status_code, handshake_wait(each)
                return Failure(f"HTTP {status}", wait=wait, is_limit=wait > 0 and status not in _BLOCKED)
            case InvalidProxyStatus():
                return _rejection(each.response.status_code, f"the proxy answers HTTP {each.response.status_code}")
            case asyncio.IncompleteReadError() if has_proxy:
                return Failure("the proxy has closed the connection", of_proxy=True)
            case python_socks.ProxyError() | aiohttp_socks.ProxyError():
                is_http = (each.error_code or 0) >= 100
                text = (
                    f"the proxy answers HTTP {each.error_code}" if is_http else f"the proxy answers: {error_text(each)}"
                )
                return _rejection(each.error_code, text)
            case InvalidProxyMessage():
                return Failure("the proxy does not answer in HTTP", of_proxy=True)
            case _ if isinstance(each, _NO_PROXY_ERRORS):
                return Failure(f"cannot connect to the proxy: {_deepest(each)}", of_proxy=True)
            case _ if isinstance(each, _TIMEOUTS):
                return Failure("no answer in time", timed_out=True)
            case ssl.SSLCertVerificationError() if not isinstance(each, aiohttp.ClientError):
                return Failure(f"certificate: {each.verify_message}")
            case OSError() if any_is_of_proxy and not isinstance(each, _BEYOND_PROXY):
                return Failure(f"cannot connect to the proxy: {error_text(each)}", of_proxy=True)
    return Failure(_deepest(error))


def cannot_connect(error: BaseException) -> bool:
    """Whether an error of a request shows that its host cannot be reached, rather than that it had a problem."""
    of_proxy = (*_PROXY_ERRORS, *_NO_PROXY_ERRORS, _CLOSED_BY_PROXY)
    unreachable = (aiohttp.ClientConnectorError, ssl.SSLError, *of_proxy, *_TIMEOUTS)
    return any(isinstance(each, unreachable) for each in _causes(error))


def is_blocked(status: int) -> bool:
    """Whether an HTTP status means that this host does not serve our network."""
    return status in _BLOCKED


def _rejection(code: int | None, text: str) -> Failure:
    """Return the failure for a proxy's answer. Without a code it is not about the host."""
    is_denied = code is None or code in _DENIED
    return Failure(f"{text} (check user and password)" if is_denied else text, of_proxy=is_denied)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__


def _deepest(error: BaseException) -> str:
    *_, last = _causes(error)
    return error_text(last)
