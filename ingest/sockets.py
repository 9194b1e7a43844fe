"""Open WebSocket connections over an uplink."""

from websockets.asyncio.client import connect

from ingest.exchanges.base import Connector
from ingest.uplinks import Uplink

MAX_SIZE = 32 << 20  # bytes of one frame
_PING = 20.0  # s between WebSocket pings, and for their answer


def socket_to(connector: Connector, uplink: Uplink, path: str, timeout_s: float) -> connect:
    """Return a connection to be opened: `async with socket_to(…) as socket`. `timeout_s` is for its opening."""
    return connect(
        uplink.host + path,
        proxy=uplink.proxy.url if uplink.proxy else None,  # never what the library finds in the environment
        open_timeout=timeout_s,
        max_size=MAX_SIZE,
        compression=connector.compression,
        ping_interval=_PING,
        ping_timeout=_PING,
        close_timeout=1,
    )
