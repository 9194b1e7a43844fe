"""Fill a market with events, without a broker."""

from typing import Any

import orjson

from marketprism.api.market import Market
from marketprism.api.records import decoder_of
from marketprism.api.spans import now_us
from schemas.events import TABLES
from tests.sinks.events import event

_NUMBERS = iter(range(1, 1 << 62))


def apply(market: Market, topic: str, exchange: str = "okx", symbol: str = "BTC-USDT", **fields: Any) -> dict[str, Any]:
    """Apply an event, received now unless the fields say else. Return its body."""
    now = now_us()
    head = {"source": f"{exchange}:0:{next(_NUMBERS)}:0:0", "exchange": exchange, "symbol": symbol}
    if topic == "signals.arbitrage":
        del head["exchange"]
    times = {"timestamp": now - 2_000, "local_timestamp": now}
    if topic == "dead_letters":
        del times["timestamp"]
    body = event(topic, **(head | times | fields))
    record = decoder_of(TABLES[topic])(orjson.dumps(body))
    assert record is not None
    market.apply(record)
    return body


def snapshot(
    market: Market, bids: list[list[str]], asks: list[list[str]], exchange: str = "okx", symbol: str = "BTC-USDT"
) -> None:
    """Make a book live with these levels."""
    apply(market, "market.books", exchange, symbol, type="snapshot", bids=bids, asks=asks)


def quote(market: Market, bid: str, ask: str, exchange: str = "okx", symbol: str = "BTC-USDT", **fields: Any) -> None:
    """Apply a quote of one level a side; an empty price leaves the side empty."""
    bids, asks = [[[price, "1"]] if price else [] for price in (bid, ask)]
    apply(market, "market.quotes", exchange, symbol, bids=bids, asks=asks, **fields)


def status(
    market: Market, kind: str, *channels: str, exchange: str = "okx", symbol: str = "BTC-USDT", **fields: Any
) -> None:
    """Apply a report of `market.status`."""
    apply(market, "market.status", exchange, symbol, type=kind, channels=list(channels), **fields)


def fill(market: Market) -> None:
    """Apply an event of each kind, of two exchanges."""
    for exchange in ("okx", "htx"):
        for topic in TABLES:
            apply(market, topic, exchange)
        apply(market, "market.instruments", exchange, type="listed")
        status(market, "connected", "books", exchange=exchange)
        snapshot(market, [["99", "1"], ["98", "2"]], [["101", "1"]], exchange)
        quote(market, "99", "101", exchange)
