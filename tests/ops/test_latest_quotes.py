"""Follow the newest quote of each instrument."""

import asyncio

import orjson
from aiokafka import AIOKafkaProducer

from marketprism.ops.latest_quotes import LatestQuotes, Price
from schemas.settings import Settings, load_settings
from tests.sinks.events import encoded

KEY = b"binance:BTC-USDT"


def quote(at: int, bid: str, ask: str = "") -> bytes:
    asks = [[ask, "2"]] if ask else []
    return encoded("market.quotes", local_timestamp=at, bids=[[bid, "1"], ["1", "9"]], asks=asks)


def test_the_newest_counts() -> None:
    """Of the records since the last reading only an instrument's last one counts, also for the move of its price."""
    quotes = LatestQuotes(load_settings())
    quotes.add_record(KEY, quote(1, "100.0", "101"))
    [first] = quotes.read()
    assert (first.exchange, first.symbol, first.received_at) == ("binance", "BTC-USDT", 1)
    assert (first.bid, first.ask) == (Price("100.0", "1"), Price("101", "2"))
    quotes.add_record(KEY, quote(2, "99", "101"))
    quotes.add_record(KEY, quote(3, "100.5", "100.9"))
    [second] = quotes.read()
    assert (second.bid, second.ask) == (Price("100.5", "1", 1, 3), Price("100.9", "2", -1, 3))
    quotes.add_record(KEY, quote(4, "100.5"))
    [third] = quotes.read()
    assert (third.received_at, third.bid, third.ask) == (4, Price("100.5", "1", 1, 3), Price())


def test_quotes_by_rest() -> None:
    """A quote that was polled is marked, until another one follows."""
    quotes = LatestQuotes(load_settings())
    for origin in ("rest", "book"):
        quotes.add_record(KEY, encoded("market.quotes", origin=origin))
        assert [each.is_by_rest for each in quotes.read()] == [origin == "rest"]


def test_malformed_records_are_skipped() -> None:
    """What is not a quote changes nothing."""
    quotes = LatestQuotes(load_settings())
    quotes.add_record(KEY, quote(1, "100"))
    before = quotes.read()
    for value in (b"", b"{", b"[]", orjson.dumps({"exchange": "okx"})):
        quotes.add_record(KEY, value)
        assert quotes.read() == before


async def test_records_of_the_topic(settings: Settings) -> None:
    """Quotes are read from the topic, from the start of the run on."""
    topic = settings.topic("market.quotes")
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        await producer.send_and_wait(topic, quote(1, "1"), b"binance:ETH-USDT", partition=0)
        quotes = LatestQuotes(settings, {"market.quotes": [1, 0]})
        running = asyncio.create_task(quotes.run())
        await producer.send_and_wait(topic, quote(2, "2"), KEY, partition=0)
        async with asyncio.timeout(15):
            while not (found := quotes.read()):
                await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait([running])
    assert [(each.received_at, each.bid.text) for each in found] == [(2, "2")]
