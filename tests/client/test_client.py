"""Read events of a real broker with the client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import pytest
from aiokafka import AIOKafkaProducer

from marketprism.client import Level, books, events, signals, trades
from marketprism.client.span import Time
from marketprism.local.broker import Broker
from schemas.errors import EventError, SettingsError, StackError, SymbolError
from schemas.keys import partition_of
from schemas.settings import Settings
from tests.client.publishing import START, book, gap, listed, now, publish, status, trade
from tests.sinks.events import event

T = TypeVar("T")
SECOND = 1_000_000
END = START + 10 * SECOND


@pytest.fixture(autouse=True)
def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETPRISM_KAFKA", settings.kafka)
    monkeypatch.setenv("MARKETPRISM_TOPIC_PREFIX", settings.topic_prefix)


async def take(stream: AsyncIterator[T], count: int, within: float = 20) -> list[T]:
    """Return the next events."""
    async with asyncio.timeout(within):
        return [await anext(stream) for _ in range(count)]


async def all_of(stream: AsyncIterator[T]) -> list[T]:
    """Return all events of a stream that ends."""
    async with asyncio.timeout(20):
        return [each async for each in stream]


def numbers(found: list[events.Trade]) -> list[int]:
    return [int(each.id) for each in found]


async def test_from_now_on(settings: Settings) -> None:
    """Events that were published before are left out. Numbers are exact."""
    await publish(settings, "market.trades", [trade(1)])
    stream = trades("BTC-USDT", exchange="okx")
    first, number = asyncio.ensure_future(anext(stream)), 1
    while not first.done():  # nothing outside shows when the client has found its place
        number += 1
        await publish(settings, "market.trades", [trade(number, price="0.10000000000000001", amount="3")])
        await asyncio.wait({first}, timeout=0.1)
    found = await first
    assert found.id != "1"
    assert found.price == Decimal("0.10000000000000001")
    await stream.aclose()


async def test_from_a_time_on(settings: Settings) -> None:
    """The time of receipt decides, also of events that were published long after it; then live events follow."""
    await publish(settings, "market.trades", map(trade, range(10)))
    stream = trades("BTC-USDT", exchange="okx", start=START + 6_000)
    assert numbers(await take(stream, 4)) == [6, 7, 8, 9]
    await publish(settings, "market.trades", [trade(10)])
    assert numbers(await take(stream, 1)) == [10]
    await stream.aclose()


@pytest.mark.parametrize("as_datetime", [False, True])
async def test_over_a_range(settings: Settings, as_datetime: bool) -> None:
    """A range in the past ends by itself; its end is exclusive."""
    await publish(settings, "market.trades", map(trade, range(1_200)))
    start: Time = START + 5_000
    end: Time = START + 1_105_000
    if as_datetime:
        start, end = (datetime.fromtimestamp(each / SECOND, UTC) for each in (START + 5_000, START + 1_105_000))
    assert numbers(await all_of(trades("BTC-USDT", exchange="okx", start=start, end=end))) == list(range(5, 1_105))


async def test_a_range_of_topics_without_such_events(settings: Settings) -> None:
    """A range in which there is nothing ends, too."""
    assert await all_of(trades(start=START, end=END)) == []


async def test_a_range_that_ends_in_the_future(settings: Settings) -> None:
    """It ends once the clock has passed its end, and has what arrived until then."""
    before = now()
    stream = trades("BTC-USDT", exchange="okx", start=before, end=before + SECOND)
    reading = asyncio.ensure_future(all_of(stream))
    await asyncio.sleep(0.5)
    offsets = (-1, 0, SECOND - 1, SECOND)
    await publish(settings, "market.trades", [trade(n, local_timestamp=before + at) for n, at in enumerate(offsets)])
    assert numbers(await reading) == [1, 2]


async def test_several_partitions_in_order_of_receipt(settings: Settings) -> None:
    """Events of several exchanges, in different partitions, and published late, are merged by receipt time."""
    instruments = [("okx", "BTC-USDT"), ("binance", "BTC-USDT"), ("htx", "ETH-USDT"), ("deribit", "BTC-USDC")]
    places = {partition_of(f"{exchange}:{symbol}".encode(), settings.partitions) for exchange, symbol in instruments}
    assert len(places) == 2
    made = [trade(n, *instruments[n * n % 4 if n < 2_000 else n % 2]) for n in range(3_000)]
    made.sort(key=lambda one: int(one["id"]) + 900 * (one["exchange"] == "okx"))
    await publish(settings, "market.trades", made)
    assert numbers(await all_of(trades(start=START, end=END))) == list(range(3_000))


async def test_symbols_and_exchanges(settings: Settings) -> None:
    """Symbols, patterns and exchanges select."""
    instruments = [("okx", "BTC-USDT"), ("okx", "BTC-USDT-PERP"), ("binance", "BTC-USDT"), ("htx", "ETH-USDT")]
    await publish(settings, "market.trades", [trade(n, *each) for n, each in enumerate(instruments)])
    assert numbers(await all_of(trades("btc-usdt", start=START, end=END))) == [0, 2]
    assert numbers(await all_of(trades("BTC-*", "ETH-USDT", start=START, end=END))) == [0, 1, 2, 3]
    assert numbers(await all_of(trades("*-USDT", exchange=("okx", "HTX"), start=START, end=END))) == [0, 3]
    assert numbers(await all_of(trades(exchange="okx", start=START, end=END))) == [0, 1]


async def test_duplicates_are_dropped(settings: Settings) -> None:
    """What a worker publishes again after a crash is delivered once."""
    await publish(settings, "market.trades", map(trade, [*range(6), *range(3, 9)]))
    found = await all_of(trades("BTC-USDT", exchange="okx", start=START, end=END))
    assert numbers(found) == list(range(9))


async def test_only_the_instruments_partition_is_read(settings: Settings) -> None:
    """Garbage in another partition does not matter, and is an error in the instrument's."""
    await publish(settings, "market.trades", [trade(1)])
    place = partition_of(b"okx:BTC-USDT", settings.partitions)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for partition in (1 - place, place):
            topic, key = settings.topic("market.trades"), b"okx:BTC-USDT"
            await producer.send_and_wait(topic, b'{"local_timestamp":1}', key, partition=partition)
            if partition != place:
                assert numbers(await all_of(trades("BTC-USDT", exchange="okx", start=START, end=END))) == [1]
    with pytest.raises(EventError, match=rf"market.trades-{place}@1 is not an event"):
        await all_of(trades("BTC-USDT", exchange="okx", start=START, end=END))


async def test_signals(settings: Settings) -> None:
    """Signals are selected by symbol, and have typed sides."""
    stamp = {"local_timestamp": START, "timestamp": START}
    made = [event("signals.arbitrage", f"join:0:{n}:0:0", symbol=symbol, **stamp) for n, symbol in enumerate("AB")]
    await publish(settings, "signals.arbitrage", [one | {"symbol": f"{one['symbol']}-USDT"} for one in made])
    [found] = await all_of(signals("B-USDT", start=START, end=END))
    assert (found.symbol, found.sell.exchange, found.buy.price) == ("B-USDT", "okx", Decimal(made[0]["buy"]["price"]))
    with pytest.raises(SymbolError, match="select them by symbol alone"):
        signals("B-USDT", exchange="okx")


async def test_a_symbol_that_nobody_ingests(settings: Settings) -> None:
    """It is an error that suggests what is ingested, unless nothing of the exchange is known yet."""
    await publish(settings, "market.instruments", [listed("okx", "BTC-USDT"), listed("binance", "BTC-USDC")])
    for wrong in (trades("BTC-USDC", exchange="okx"), books("BTC-USDC", exchange="okx")):
        with pytest.raises(SymbolError, match=r"nobody ingests BTC-USDC from okx: did you mean BTC-USDT\?"):
            await anext(wrong)
    assert await all_of(trades("BTC-USDC", start=START, end=END)) == []
    assert await all_of(trades("BTC-USDC", exchange="htx", start=START, end=END)) == []


async def test_no_broker_and_no_topic(settings: Settings) -> None:
    """The error names the address, or the topic."""
    with pytest.raises(StackError, match=r"no broker answers at 127\.0\.0\.1:1: start"):
        await anext(trades(kafka="127.0.0.1:1"))
    with pytest.raises(StackError, match=r"has no topic nowhere\.market\.trades"):
        await anext(trades(topic_prefix="nowhere."))


def test_unusable_arguments() -> None:
    """They are errors at once, not only when the loop begins."""
    with pytest.raises(SettingsError, match="has no time zone"):
        trades(start=datetime(2026, 11, 26))
    with pytest.raises(SymbolError, match="did you mean"):
        trades("BTCUSDT")


async def test_leaving_and_cancelling_close_the_connections(settings: Settings) -> None:
    """After a loop was left, or its task cancelled, no task and no connection of the client is left."""
    before = asyncio.all_tasks()
    await publish(settings, "market.trades", map(trade, range(5)))
    async with aclosing(trades(start=START)) as stream:
        async for found in stream:
            if found.id == "3":
                break
    endless = asyncio.create_task(all_of(trades(start=START)))
    await asyncio.sleep(0.5)
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


@pytest.mark.long
async def test_an_outage_of_the_broker(broker: Broker, settings: Settings) -> None:
    """A reader goes on after the broker was killed and started again, without a loss or a duplicate."""
    stream = trades("BTC-USDT", exchange="okx", start=START)
    await publish(settings, "market.trades", map(trade, range(3)))
    found = await take(stream, 3)
    waiting = asyncio.ensure_future(take(stream, 4, within=90))
    broker.kill()
    await asyncio.sleep(1.0)  # the reader notices, and fails to connect
    broker.start()  # in this thread, with which the session's broker ends
    await publish(settings, "market.trades", map(trade, range(3, 7)))
    assert numbers(found + await waiting) == list(range(7))
    await stream.aclose()


async def test_a_book_from_now_on(settings: Settings) -> None:
    """The book is there at once, from the last snapshot and the updates since. Each change follows."""
    recent = {"local_timestamp": now() - 30 * SECOND}
    snapshot = book(10, [["99", "1"], ["98.5", "2"]], [["101", "3"]], type="snapshot", **recent)
    await publish(settings, "market.books", [book(9, [["1", "1"]], [], **recent), snapshot])
    await publish(settings, "market.books", [book(11, [["99", "0"], ["98.0", "4"]], [], **recent)])
    stream = books("BTC-USDT", exchange="okx")
    [found] = await take(stream, 1)
    assert [(str(price), str(amount)) for price, amount in found.bids] == [("98.5", "2"), ("98.0", "4")]
    assert (found.state, found.sequence, list(found.asks)) == ("live", 11, [Level("101", "3")])
    await publish(settings, "market.books", [book(12, [["98.50", "5"]], [])])
    [found] = await take(stream, 1)
    assert found.levels(1)[0][0].amount == 5
    await publish(settings, "market.gaps", [gap(13, "opened", "trades"), gap(14, "opened")])
    [found] = await take(stream, 1)
    assert (found.state, len(found.bids)) == ("stale", 2)
    await publish(settings, "market.books", [book(15, [["97", "1"]], [], type="snapshot")])
    [found] = await take(stream, 1)
    assert (found.state, len(found.bids), found.best_ask) == ("live", 1, None)
    await publish(settings, "market.status", [status(16, "stopped", "books", "trades")])
    [found] = await take(stream, 1)
    assert (found.state, len(found.bids)) == ("stale", 1)
    await stream.aclose()


async def test_books_of_a_range(settings: Settings) -> None:
    """The first book of a range has what was there before it. Changes before its start are not delivered."""
    made = [book(0, [["99", "1"]], [["101", "1"]], type="snapshot")]
    made += [book(n, [[f"{90 - n}", "1"]], []) for n in range(1, 10)]
    await publish(settings, "market.books", made)
    found = [len(each.bids) async for each in books("BTC-USDT", exchange="okx", start=START + 4_000, end=START + 8_000)]
    assert found == [5, 6, 7, 8]
