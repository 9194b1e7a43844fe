"""Events of the past that are filled in do not take the place of the live ones."""

import orjson

from marketprism.api.market import Market
from marketprism.api.records import decoder_of
from tests.sinks.events import encoded

NOW = 1_790_000_000_000_000  # µs
HOUR = 3_600_000_000


def apply(market: Market, table: str, number: int, timestamp: int, received: int) -> None:
    times = {"timestamp": timestamp, "local_timestamp": received}
    record = decoder_of(table)(encoded(f"market.{table}", f"binance:0:{number}:0:0", **times))
    assert record is not None
    market.apply(record)


def shown(market: Market, table: str) -> list[int]:
    """Return the timestamps of what is shown."""
    [(_, values)] = market.latest(table)
    return [orjson.loads(value)["timestamp"] for value in values]


def test_the_past_is_not_shown() -> None:
    """Trades and candles that are filled in are left out, once there are live ones."""
    market = Market()
    for table in ("trades", "candles", "mark_prices", "open_interest"):
        apply(market, table, 1, NOW, NOW)
        apply(market, table, 2, NOW - HOUR, NOW + 1)
        assert shown(market, table) == [NOW]
        apply(market, table, 3, NOW + 5, NOW + 9)
        assert shown(market, table)[-1] == NOW + 5


def test_late_and_unordered_events_are_shown() -> None:
    """A slow clock of an exchange, and trades that arrive out of order, change nothing."""
    market = Market()
    for number, timestamp in enumerate((NOW - HOUR, NOW - HOUR + 5, NOW - HOUR + 6)):
        apply(market, "trades", number, timestamp, NOW + number)
    assert len(shown(market, "trades")) == 3
    market = Market()
    for number, timestamp in enumerate((NOW, NOW - 50, NOW + 2 * HOUR, NOW + 9)):  # a clock that is wrong once
        apply(market, "trades", number, timestamp, NOW + number)
    assert len(shown(market, "trades")) == 4
