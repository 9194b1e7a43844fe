"""The hosts and proxies in use, from a real ClickHouse."""

from pathlib import Path

from ingest.exchanges import CONNECTORS
from marketprism.ops.hosts import HostInUse, hosts_in_use
from schemas.settings import load_settings
from tests.backfill.database import database_with
from tests.sinks.events import DAY

SECOND = 1_000_000  # µs


def test_hosts_in_use(tmp_path: Path) -> None:
    """The last change counts, of sockets and REST apart; without one it is the first choice."""
    through = "wss://b through http://user:***@p:1"
    events = [
        ("BTC-USDT", 1, f"ws {through}: wss://a: refused"),
        ("ETH-USDT", 3, "ws wss://a: first choice"),
        ("BTC-USDT", 2, "rest https://b: https://a: HTTP 451"),
    ]
    made = database_with(
        tmp_path,
        [
            (
                "market.status",
                {
                    "exchange": "binance",
                    "symbol": symbol,
                    "type": "host_changed",
                    "reason": reason,
                    "timestamp": DAY + second * SECOND,
                    "local_timestamp": DAY + second * SECOND,
                },
            )
            for symbol, second, reason in events
        ],
    )
    used = load_settings(**made.model_dump() | {"feeds": ("binance-spot", "okx", "deribit")})
    spot_ws, spot_rest, okx_ws, _, deribit, _ = hosts_in_use(used)
    assert spot_ws[:3] == ("binance-spot", "ws", "wss://a")
    assert spot_ws.reason.startswith("since ")
    assert spot_ws.reason.endswith(" UTC, first choice")
    assert spot_rest[:3] == ("binance-spot", "rest", "https://b")
    assert spot_rest.reason.endswith(" UTC, https://a: HTTP 451")
    assert okx_ws == HostInUse("okx", "ws", CONNECTORS["okx"].ws[0], "first choice, not used yet")
    assert deribit == HostInUse("deribit", "ws", CONNECTORS["deribit"].ws[0], "the only one")
