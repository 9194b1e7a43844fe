"""Publish events as workers do."""

import time
from collections.abc import Iterable
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from schemas.keys import key_of, partition_of
from schemas.settings import Settings
from tests.sinks.events import event

START = 1_790_000_000_000_000  # µs


def trade(number: int, exchange: str = "okx", symbol: str = "BTC-USDT", **fields: Any) -> dict[str, Any]:
    """Return the trade `number`, received `number` ms after the start."""
    return _event("market.trades", number, exchange, symbol, {"id": str(number), "price": f"{100 + number}"} | fields)


def book(number: int, bids: list[list[str]], asks: list[list[str]], **fields: Any) -> dict[str, Any]:
    """Return an update of a book, or with `type="snapshot"` the whole book."""
    body = {"type": "update", "sequence": number, "previous": number - 1, "bids": bids, "asks": asks} | fields
    return _event("market.books", number, "okx", "BTC-USDT", body)


def gap(number: int, kind: str, channel: str = "books") -> dict[str, Any]:
    """Return a gap that is `opened` or `closed`."""
    return _event("market.gaps", number, "okx", "BTC-USDT", {"type": kind, "channel": channel})


def status(number: int, kind: str, *channels: str) -> dict[str, Any]:
    """Return a report on some channels, or on all."""
    return _event("market.status", number, "okx", "BTC-USDT", {"type": kind, "channels": list(channels)})


def listed(exchange: str, symbol: str) -> dict[str, Any]:
    """Return the event with which an instrument is first known."""
    return _event("market.instruments", 0, exchange, symbol, {"type": "listed"})


def _event(topic: str, number: int, exchange: str, symbol: str, fields: dict[str, Any]) -> dict[str, Any]:
    stamp = START + number * 1_000
    head: dict[str, Any] = {"source": f"{exchange}:0:{number}:0:0", "exchange": exchange, "symbol": symbol}
    return event(topic, **(head | {"timestamp": stamp, "local_timestamp": stamp} | fields))


async def publish(settings: Settings, topic: str, events: Iterable[dict[str, Any]]) -> None:
    """Append events to the partitions of their keys, and wait until all are there."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for body in events:
            name = key_of(body["exchange"], body["symbol"]) if "exchange" in body else body["symbol"]
            key = name.encode()
            partition = partition_of(key, settings.partitions)
            await producer.send(settings.topic(topic), orjson.dumps(body), key, partition=partition)


def now() -> int:
    """Return the time, µs."""
    return time.time_ns() // 1000
