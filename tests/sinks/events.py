"""Valid events of every kind."""

from decimal import Decimal
from typing import Any

import orjson

from schemas.events import EVENTS

DAY = 1_723_075_200_000_000  # 2024-08-08 00:00 UTC, in microseconds

SIDE = {
    "exchange": "binance",
    "source": "binance:0:7:1:0",
    "origin": "book",
    "sequence": 9_007_199_254_740_993,
    "book": "live",
    "price": "60000.123456789012345678",
    "average_price": "60000.2",
    "timestamp": DAY + 1,
    "local_timestamp": DAY + 2,
    "age": 15,
    "fee_bps": 10.0,
}
BODIES: dict[str, dict[str, Any]] = {
    "market.trades": {
        "id": "123:x",
        "price": "0.000000000000000001",
        "amount": "99999999999999999999.5",
        "side": "sell",
        "kind": "normal",
        "exchange_amount": "12",
    },
    "market.tickers": {
        "last": "60000.5",
        "open": None,
        "high": "61000",
        "low": "0.000000000000000001",
        "volume": "123.5",
        "quote_volume": None,
        "trades": 9_007_199_254_740_993,
        "window": "24h",
    },
    "market.candles": {
        "origin": "exchange",
        "contract": "",
        "interval": "1m",
        "start": DAY,
        "end": DAY + 60_000_000,
        "open": "60000.5",
        "high": "60001",
        "low": "59999.5",
        "close": "60000",
        "volume": "1.5",
        "quote_volume": None,
        "trades": 12,
        "taker_buy_volume": "0.5",
        "taker_buy_quote_volume": None,
        "closed": True,
        "complete": False,
    },
    "market.mark_prices": {"mark_price": "60000.5", "index_price": "60000", "settlement_price": None},
    "market.open_interest": {"contracts": "12", "amount": "0.5", "value": None},
    "market.liquidations": {
        "side": "sell",
        "price": "59000.5",
        "average_price": None,
        "amount": "0.25",
        "sampled": True,
    },
    "market.long_short_ratios": {
        "scope": "top_accounts",
        "period": "5m",
        "long": "0.6",
        "short": "0.4",
        "ratio": None,
    },
    "market.options": {
        "mark_iv": "0.553",
        "bid_iv": None,
        "ask_iv": "0.56",
        "delta": "-0.25",
        "gamma": "0.00001",
        "vega": "12.5",
        "theta": "-30.25",
        "rho": None,
        "underlying_price": "60000.5",
        "underlying_index": "BTC-26DEC25",
        "open_interest": None,
    },
    "market.instruments": {
        "type": "changed",
        "field": "tick_size",
        "old": "0.1",
        "new": "0.01",
        "feed": "binance-spot",
        "exchange_symbol": "BTCUSDT",
        "kind": "spot",
        "base": "BTC",
        "quote": "USDT",
        "settle": "",
        "tick_size": "0.01",
        "lot_size": None,
        "contract_size": "1",
        "inverse": False,
        "expiry": "",
        "status": "trading",
    },
    "market.funding": {
        "type": "estimated",
        "rate": "-0.000000000000000001",
        "interval_hours": 8,
        "next_funding_at": DAY + 28_800_000_000,
        "mark_price": "60000.5",
        "index_price": None,
    },
    "market.books": {
        "type": "snapshot",
        "sequence": 12,
        "previous": -1,
        "bids": [["1.50", "2"], ["1.4", "0"]],
        "asks": [["1.60", "0.000000000000000001"]],
    },
    "market.quotes": {"origin": "bbo", "sequence": 3, "bids": [["1.5", "2"]], "asks": []},
    "market.gaps": {
        "type": "closed",
        "id": "g1",
        "cause": "sequence",
        "expected": 5,
        "received": 9,
        "duration": 77,
        "channel": "trades",
        "first_missing": "5",
        "last_missing": "8",
        "since": DAY + 3,
    },
    "market.quality": {
        "type": "difference",
        "compared": 3,
        "agreed": 2,
        "differed": 1,
        "sequence": 8,
        "bbo": ["1.5", "2", "", ""],
        "book": ["1.5", "2", "1.6", "3"],
        "check": "candle",
        "interval": "1m",
        "start": DAY,
        "late": 2,
        "cause": "not_on_book",
        "fields": ["high", "volume"],
        "theirs": ["60001.5", "0.000000000000000001"],
        "ours": ["60001", ""],
    },
    "market.status": {
        "type": "report",
        "channels": ["books"],
        "reason": "",
        "messages": 90,
        "repeated": 1,
        "age": 4_000,
        "latency_median": 7_000,
        "latency_max": 80_000,
        "clock_offset": -1_270_000,
        "round_trip": 3_000,
        "reconnects": 1,
        "renewals": 2,
    },
    "signals.arbitrage": {
        "id": "BTC-USDT:binance:okx:1",
        "type": "closed",
        "reason": "spread_gone",
        "opened_at": DAY,
        "lifetime": 3,
        "buy": SIDE,
        "sell": SIDE | {"exchange": "okx", "source": "okx:1:2:3:4"},
        "gross_bps": 12.25,
        "net_bps": -0.5,
        "amount": "0.1",
        "profit": "0.25",
        "peak_net_bps": 3.5,
        "peak_amount": "1",
        "peak_profit": "2",
        "spread_mean_bps": 0.125,
        "spread_stdev_bps": 1e-05,
        "spread_zscore": 2.5,
        "spread_count": 40,
    },
    "dead_letters": {
        "topic": "raw.binance",
        "reason": "no JSON",
        "encoding": "text",
        "frame": 'a\tb"\\\n"bids":[ "1.1234567890123456789012"',
        "frame_bytes": 40,
    },
}
_WITHOUT = {"signals.arbitrage": ("exchange",), "dead_letters": ("timestamp",)}


def event(topic: str, source: str = "binance:0:1:0:0", **changes: Any) -> dict[str, Any]:
    """Return a valid event of a topic. Its source comes first."""
    head = {
        "source": source,
        "exchange": "binance",
        "symbol": "BTC-USDT",
        "timestamp": DAY + 1_000_001,
        "local_timestamp": DAY + 1_000_002,
    }
    body = {name: value for name, value in head.items() if name not in _WITHOUT.get(topic, ())}
    body |= BODIES[topic] | changes
    EVENTS[topic].model_validate(body)
    return body


def encoded(topic: str, source: str = "binance:0:1:0:0", **changes: Any) -> bytes:
    """Return a valid event of a topic as JSON."""
    return orjson.dumps(event(topic, source, **changes))


def trade(number: int, **changes: Any) -> bytes:
    """Return the trade at the given offset of its topic partition. Each raw record has four lines."""
    price = f"{Decimal(60_000) + Decimal(number % 97) / 10}"
    source = f"binance:0:{number // 4}:{number % 4}:0"
    stamp = DAY + number * 1000
    fields = {"timestamp": stamp, "local_timestamp": stamp + 7, "id": str(number), "price": price, "amount": "0.5"}
    return encoded("market.trades", source, **(fields | changes))
