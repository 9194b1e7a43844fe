"""Serve an application on `api_address` until SIGINT or SIGTERM."""

import ipaddress
import signal
import socket
import sys
from collections.abc import Callable

import structlog
import uvicorn
from starlette.types import ASGIApp

from marketprism.api.guard import check_exposure
from schemas.errors import MarketPrismError, SettingsError
from schemas.logs import configure_logs
from schemas.settings import Settings, load_settings

log = structlog.get_logger("marketprism.api")

_MAX_MESSAGE = 65_536  # bytes of a WebSocket message from a client
_STOP_WITHIN = 3  # s


def main(name: str, create_app: Callable[[Settings], ASGIApp], what: str) -> int:
    """Run the process `name` with the user's settings. Return its exit status."""
    try:
        settings = load_settings()
        serve(settings, create_app(settings), what)
    except MarketPrismError as error:
        sys.stderr.write(f"marketprism {name}: {error}\n")
        return 1
    return 0


def serve(settings: Settings, app: ASGIApp, what: str) -> None:
    """Serve until stopped. Raise `SettingsError` if the address cannot be used."""
    check_exposure(settings)
    configure_logs(settings)
    bound = _bind(settings.api_address)
    log.info(f"serving {what}", address=address_of(*bound.getsockname()[:2]))
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises the signal that has stopped it once more
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config_of(app)).run(sockets=[bound])
    log.info("stopped")


def config_of(app: ASGIApp) -> uvicorn.Config:
    """Return how the application is served."""
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=_MAX_MESSAGE,
        ws_per_message_deflate=False,  # it costs more time than loopback has to gain
        ws_ping_interval=20,
        ws_ping_timeout=30,
        timeout_graceful_shutdown=_STOP_WITHIN,
        timeout_keep_alive=30,
    )


def address_of(host: str, port: int) -> str:
    """Return an address to open in a browser on this machine, where 0.0.0.0 and :: mean all addresses."""
    if ipaddress.ip_address(host).is_unspecified:
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host.strip("[]"), int(port)))
    except OSError as error:
        raise SettingsError(
            f"cannot listen on api_address {address}: {error.strerror or error}; "
            "choose another one (MARKETPRISM_API_ADDRESS)"
        ) from None
    return bound
