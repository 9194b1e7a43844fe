"""Follow the raw topics: frames, connections, and the newest data of every feed."""

import asyncio

from aiokafka import AIOKafkaProducer

from marketprism.ops.raw_topic_stats import RawTopicStats
from marketprism.ops.topics import topic_ends
from schemas.instruments import assumed_instrument
from schemas.markers import (
    Clock,
    Connected,
    Definition,
    Delisted,
    Disconnected,
    RestDown,
    RestFallback,
    RestFallbackEnded,
    RestUp,
    Subscribed,
    Tick,
    answer_of,
)
from schemas.raw import encode_line, encode_marker
from schemas.settings import Settings, load_settings


def test_statistics() -> None:
    """Frames, instruments and subscriptions are counted by feed, frames without an instrument by exchange."""
    stats = RawTopicStats(load_settings())
    instruments = [assumed_instrument("okx", "okx", symbol) for symbol in ("BTC-USDT", "ETH-USDT-PERP")]
    record = b"".join(encode_marker(1_000, each.key, Definition(each)) for each in instruments)
    record += encode_marker(1_000, "okx:BTC-USDT", Connected(channels=["trades", "books"]))
    record += encode_marker(1_000, "okx:BTC-USDT", Disconnected(channels=["books"]))
    record += encode_line(2_000, "okx:BTC-USDT", b"{}") + encode_line(3_000, "binance:?", b"malformed")
    stats.add_record(record + encode_marker(9_000, "okx:*", Tick()))
    found = stats.read()
    assert found.frames == {"okx": 1, "binance": 1}
    assert found.instruments == {"okx": 2}
    assert found.subscriptions == {"okx": 1}
    assert found.received_at == {"okx": 2, "binance": 3}
    assert found.newest == 9
    assert found.lost == {}
    stats.add_record(encode_marker(10_000, "okx:BTC-USDT", Disconnected(channels=["trades"], reason="HTTP 451")))
    assert stats.read().lost == {"okx": "HTTP 451"}


def test_quotes_by_rest() -> None:
    """An instrument whose quotes are polled counts until that ends, or its book is subscribed again."""
    stats = RawTopicStats(load_settings())
    begun = [encode_marker(1, key, RestFallback(reason="lost")) for key in ("okx:A-USDT", "okx:B-USDT", "okx:C-USDT")]
    stats.add_record(b"".join(begun))
    assert stats.read().by_rest == {"okx": 3}
    stats.add_record(encode_marker(2, "okx:A-USDT", RestFallbackEnded()))
    stats.add_record(encode_marker(2, "okx:B-USDT", Subscribed(channels=["trades"])))
    stats.add_record(encode_marker(2, "okx:C-USDT", Subscribed(channels=["trades", "books"])))
    assert stats.read().by_rest == {"okx": 1}


def test_no_quotes_by_rest() -> None:
    """Nothing is polled while REST is down, too, until a request is answered; nor is a delisted instrument."""
    stats, key = RawTopicStats(load_settings()), "okx:A-USDT"
    answer = answer_of("open_interest", "/path", 1, b"{}")
    for ends in (RestUp(), Clock(offset=1, round_trip=1), answer):  # an ingest that was killed does not say so
        stats.add_record(encode_marker(1, key, RestFallback(reason="lost")) + encode_marker(2, key, RestDown()))
        assert stats.read().by_rest.get("okx", 0) == 0
        stats.add_record(encode_marker(3, key, ends))
        assert stats.read().by_rest == {"okx": 1}
    stats.add_record(encode_marker(4, key, Definition(assumed_instrument("okx", "okx", "A-USDT"))))
    stats.add_record(encode_marker(5, key, Delisted()))
    assert (stats.read().by_rest, stats.read().instruments) == ({"okx": 0}, {"okx": 0})


async def test_frames_of_earlier_runs_are_not_counted(settings: Settings) -> None:
    """Counting starts at the start offsets of the run, and continues after a malformed record."""
    topic = settings.topic("raw.okx")
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for n in range(50):
            await producer.send_and_wait(topic, encode_line(n, "okx:BTC-USDT", b"{}"), partition=0)
        stats = RawTopicStats(settings, await topic_ends(settings))
        running = asyncio.create_task(stats.run())
        for value in (encode_line(1, "okx:BTC-USDT", b"{}"), b"malformed\n", encode_line(2, "okx:BTC-USDT", b"{}")):
            await producer.send_and_wait(topic, value, partition=0)
        async with asyncio.timeout(15):
            while stats.frames["okx"] < 2:
                await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert stats.frames["okx"] == 2
    running.cancel()
