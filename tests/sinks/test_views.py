"""The views that no model describes, on tables of their own."""

from decimal import Decimal

from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import DAY, encoded


def test_a_book_is_read_from_its_last_snapshot_on(storage: EmbeddedStorage) -> None:
    """However many events a day has, the view reads the blocks of rows around the last snapshot only."""
    events, every, rate = 60_000, 600, 10  # a snapshot a minute
    values = [
        encoded("market.books", type="update" if n % every else "snapshot", local_timestamp=DAY + n * 1_000_000 // rate)
        for n in range(events)
    ]
    block = Block(0, values, list(range(events)))
    assert storage.insert("prism.books", block, "a") is None
    at = f"fromUnixTimestamp64Micro({DAY + 3_333_000_000}, 'UTC')"
    query = f"SELECT * FROM prism.book_at(exchange = 'binance', symbol = 'BTC-USDT', at = {at})"
    result = storage._connection().query(query, "TabSeparated")
    assert result.rows_read() == 2
    assert 0 < result.storage_rows_read() <= 3 * 2 * 8_192  # three reads of one or two blocks each


def test_a_quote_with_an_empty_side_has_no_spread(storage: EmbeddedStorage) -> None:
    """What needs both sides is NULL, and the row is there."""
    assert storage.insert("prism.quotes", Block(0, [encoded("market.quotes", asks=[])], [0]), "a") is None
    columns = ("mid", "spread", "spread_bps", "imbalance", "microprice")
    row = storage.query(f"SELECT toString(bid_price), {', '.join(columns)} FROM prism.spreads")
    assert row == [["1.5", *[None] * len(columns)]]


def test_a_price_without_volume_has_no_average(storage: EmbeddedStorage) -> None:
    """Trades whose amounts are 0 have no VWAP, rather than failing the query for all others."""
    values = [
        encoded("market.trades", price="60000.5", amount="0"),
        encoded("market.trades", symbol="ETH-USDT", amount="2"),
    ]
    assert storage.insert("prism.trades", Block(0, values, [0, 1]), "a") is None
    rows = storage.query(
        "SELECT symbol, toString(vwap), trades FROM prism.vwap(interval_seconds = 300) ORDER BY symbol"
    )
    assert [[symbol, vwap and Decimal(vwap), trades] for symbol, vwap, trades in rows] == [
        ["BTC-USDT", None, 1],
        ["ETH-USDT", Decimal("0.000000000000000001"), 1],
    ]


def test_every_column_and_table_has_a_comment(storage: EmbeddedStorage) -> None:
    """`DESCRIBE TABLE` says what each column means, and `system.tables` what each table and view holds."""
    columns = "SELECT table, name FROM system.columns WHERE database = 'prism' AND comment = ''"
    tables = "SELECT name FROM system.tables WHERE database = 'prism' AND comment = ''"
    assert storage.query(columns) == storage.query(tables) == []
    assert storage.query("SELECT count() > 200 FROM system.columns WHERE database = 'prism'") == [[1]]
