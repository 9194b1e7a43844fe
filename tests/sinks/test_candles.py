"""Compare candles of any interval with a brute-force computation."""

import random
from collections import defaultdict
from decimal import Decimal, localcontext
from typing import Any

import pytest

from sinks.storage.base import Block
from sinks.storage.embedded import EmbeddedStorage
from tests.sinks.events import DAY, encoded

Candle = tuple[str, str, int, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, int, Decimal]


def some_trades(chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Return unordered trades over an hour and a half, many of them in the same microsecond."""
    trades = []
    for n in range(number):
        stamp = DAY + chance.randrange(5_400) * 1_000_000 + chance.choice([0, 1, 999_999])
        trades.append(
            {
                "source": f"binance:0:{n}:0:0",
                "exchange": chance.choice(["binance", "okx"]),
                "symbol": chance.choice(["BTC-USDT", "BTC-USDT-PERP"]),
                "timestamp": stamp,
                "local_timestamp": stamp + chance.choice([0, 5, 5, 9]),
                "id": str(n),
                "price": f"{chance.randrange(1, 10**9)}.{chance.randrange(10**8):08}",
                "amount": f"{chance.randrange(1000)}.{chance.randrange(10**6):06}",
                "side": chance.choice(["buy", "sell"]),
                "kind": chance.choice(["normal"] * 8 + [*ON_BOOK, *OFF_BOOK]),
            }
        )
    return trades


ON_BOOK = ("normal", "liquidation", "liquidation_taker")
OFF_BOOK = ("insurance_fund", "adl", "block", "combo", "a_kind_of_tomorrow")


def brute_force(trades: list[dict[str, Any]], seconds: int) -> list[Candle]:
    groups: dict[tuple[str, str, int], list[tuple[tuple[int, int, int], dict[str, Any]]]] = defaultdict(list)
    for trade in trades:
        offset = int(trade["id"])
        start = trade["timestamp"] // 1_000_000 // seconds * seconds
        place = (trade["timestamp"], trade["local_timestamp"], offset)
        groups[trade["exchange"], trade["symbol"], start].append((place, trade))
    candles = []
    for (exchange, symbol, start), members in sorted(groups.items()):
        ordered = [trade for _, trade in sorted(members, key=lambda member: member[0])]
        prices = [Decimal(trade["price"]) for trade in ordered]
        amounts = [Decimal(trade["amount"]) for trade in ordered]
        bought = [Decimal(trade["amount"]) for trade in ordered if trade["side"] == "buy"]
        with localcontext(prec=76):
            quote = sum((price * amount for price, amount in zip(prices, amounts, strict=True)), Decimal(0))
        ohlc = (prices[0], max(prices), min(prices), prices[-1])
        volume = sum(amounts, Decimal(0))
        candles.append((exchange, symbol, start, *ohlc, volume, quote, len(ordered), sum(bought, Decimal(0))))
    return candles


def candles(storage: EmbeddedStorage, view: str, seconds: int) -> list[Candle]:
    decimals = ("open", "high", "low", "close", "volume", "quote_volume")
    texts = ", ".join(f"toString({name})" for name in decimals)
    rows = storage.query(
        f"SELECT exchange, symbol, toUnixTimestamp(start), {texts}, trades, toString(buy_volume) "
        f"FROM prism.{view}(interval_seconds = {seconds}) ORDER BY exchange, symbol, start"
    )
    return [(*row[:3], *map(Decimal, row[3:9]), row[9], Decimal(row[10])) for row in rows]


@pytest.mark.parametrize("seconds", [1, 7, 30, 60, 300, 3600])
def test_candles_equal_brute_force(storage: EmbeddedStorage, seconds: int) -> None:
    """Open, high, low, close (including ties), volumes and counts are exact in any order of arrival.

    `candles_of_trades` covers the trades on the order book, and `candles_of_all_trades` all trades.
    """
    trades = some_trades(random.Random(seconds), 3_000)
    values = [encoded("market.trades", **trade) for trade in trades]
    for first in range(0, len(values), 1_000):
        offsets = list(range(first, first + 1_000))
        assert storage.insert("prism.trades", Block(0, values[first : first + 1_000], offsets), f"c{first}") is None
    on_book = [trade for trade in trades if trade["kind"] in ON_BOOK]
    assert candles(storage, "candles_of_trades", seconds) == brute_force(on_book, seconds)
    assert candles(storage, "candles_of_all_trades", seconds) == brute_force(trades, seconds)


def test_whole_minutes_are_read_from_the_projection(storage: EmbeddedStorage) -> None:
    """A candle query reads the projection, which is aggregated on insert, and not the trades."""
    storage.insert("prism.trades", Block(0, [encoded("market.trades")], [0]), "p")
    query = "SELECT * FROM prism.{}(interval_seconds = {}) WHERE exchange = 'binance' AND symbol = 'BTC-USDT'"
    for view in ("candles_of_trades", "candles_of_all_trades"):
        for seconds, projection in ((60, True), (900, True), (10, False)):
            plan = "\n".join(str(row[0]) for row in storage.query("EXPLAIN indexes = 1 " + query.format(view, seconds)))
            assert ("ReadFromMergeTree (candles_by_minute)" in plan) is projection
