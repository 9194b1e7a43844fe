"""Read the scores of a database that no process owns."""

from pathlib import Path

from marketprism.ops.quality import scores
from schemas.settings import load_settings
from sinks.migrations import migrate
from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import DAY, encoded

HOUR = 3_600_000_000  # µs


async def test_scores_by_hour(tmp_path: Path) -> None:
    """The hours from that of the first time on, of two instruments of which nothing came: in order."""
    settings = load_settings(clickhouse=f"chdb://{tmp_path}/clickhouse", database="prism")
    storage = EmbeddedStorage(settings)
    migrate(storage, settings)
    connected = [
        encoded("market.status", type="connected", channels=["trades"], symbol=symbol, local_timestamp=DAY)
        for symbol in ("ETH-USDT", "BTC-USDT")
    ]
    assert storage.insert("prism.status", Block(0, connected, [0, 1]), "a") is None
    storage.close()
    found = await scores(settings, DAY + HOUR + 1, DAY + 2 * HOUR + 1_500_000)
    assert [(row.hour, row.symbol, row.expected_seconds) for row in found] == [
        (DAY + HOUR, "BTC-USDT", 3600),
        (DAY + HOUR, "ETH-USDT", 3600),
        (DAY + 2 * HOUR, "BTC-USDT", 1.5),
        (DAY + 2 * HOUR, "ETH-USDT", 1.5),
    ]
    assert {(row.exchange, row.score, row.reason, row.books_coverage, row.latency_p50) for row in found} == {
        ("binance", 0, "trades_coverage", None, None)
    }
