"""Quotes by REST: published while the book is not live, marked, never a book, and out of the join unless wanted."""

from typing import Any

import orjson
import pytest

from schemas.events import EVENTS
from schemas.markers import answer_of
from schemas.raw import encode_marker
from schemas.settings import load_settings
from streams.raw_processor import RawProcessor
from tests.frames import MS, T0, dumps, line, marker, okx, tick

KEY, PATH = "okx:BTC-USDT", "/api/v5/market/books?instId=BTC-USDT&sz=5"
BOOK = okx.book(-1, 10, [["100", "1"]], [["101", "2"]], action="snapshot")
LOST = marker(KEY, "disconnected", 50, channels=["books", "quotes"])


class Partition:
    """Partition of OKX that takes raw lines, and keeps what they cause."""

    def __init__(self, **settings: Any) -> None:
        self.settings = load_settings(**settings)
        self.processor = RawProcessor("okx", 0, self.settings)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.joined: list[tuple[str, dict[str, Any]]] = []  # state and body
        self._offset = 0

    def send(self, *lines: bytes) -> None:
        output = self.processor.process(self._offset, b"".join(lines))
        self._offset += 1
        for topic, _, value in output.records:
            if topic in EVENTS:
                EVENTS[topic].model_validate_json(value)
                self.events.append((topic, orjson.loads(value)))
        for text in (text for texts in output.joins.values() for text in texts):
            state, _, body = text.partition(b"\t")
            if state != b"tick":
                self.joined.append((state.decode(), orjson.loads(body)))

    def quotes(self, origin: str = "rest") -> list[dict[str, Any]]:
        return [body for topic, body in self.events if topic == "market.quotes" and body["origin"] == origin]

    def reload(self) -> None:
        """Continue as a worker does that takes over from a checkpoint."""
        before, self.processor = self.processor, RawProcessor("okx", 0, self.settings)
        for key in list(before.entries):
            self.processor.load(key, before.dump(key))


def answer(at: float, sequence: int, bid: str = "99", ts: int = MS, levels: int = 1) -> bytes:
    """Return the line of an answer that arrives `at` ms after the start, about the book `ts`."""
    bids = [[str(int(bid) - rank), "3", "0", "1"] for rank in range(levels)]
    row = {"bids": bids, "asks": [["103", "4", "0", "1"]], "ts": str(ts), "seqId": sequence}
    body = dumps({"code": "0", "msg": "", "data": [row]})
    return polled(body, at)


def polled(body: bytes, at: float) -> bytes:
    return encode_marker(T0 + int(at * 1e6), KEY, answer_of("books", PATH, MS * 1000, body))


def lost() -> Partition:
    """Return a partition whose book was live, and has lost its socket."""
    partition = Partition()
    partition.send(line(KEY, BOOK, 10), LOST)
    return partition


def test_published_and_marked() -> None:
    """An answer becomes a quote with the exchange's time and id, of as many levels as other quotes have."""
    partition = lost()
    partition.send(answer(6000, 20, levels=9))
    [quote] = partition.quotes()
    assert (quote["sequence"], quote["timestamp"]) == (20, MS * 1000)
    assert quote["local_timestamp"] == (MS + 6000) * 1000
    assert quote["bids"] == [[str(99 - rank), "3"] for rank in range(5)]
    assert quote["asks"] == [["103", "4"]]


def test_never_a_book() -> None:
    """The gap stays open, the book is not rebuilt from answers, and nothing is compared with them."""
    partition = lost()
    partition.send(answer(6000, 20), answer(7000, 30))
    topics = [topic for topic, _ in partition.events]
    assert len(partition.quotes()) == 2
    assert topics.count("market.books") == 1
    assert [body["type"] for topic, body in partition.events if topic == "market.gaps"] == ["opened"]
    assert "market.quality" not in topics
    assert partition.processor.entries[KEY].books.order_book.state == "stale"
    partition.send(line(KEY, okx.book(-1, 40, [["98", "1"]], [["99", "2"]], action="snapshot"), 8000))
    assert [body["type"] for topic, body in partition.events if topic == "market.gaps"] == ["opened", "closed"]
    assert partition.quotes("book")[-1]["sequence"] == 40


def test_a_live_book_counts_alone() -> None:
    """An answer that was under way while the book came back is left out."""
    partition = Partition()
    partition.send(line(KEY, BOOK, 10), answer(20, 20))
    assert partition.quotes() == []


def test_no_health_of_the_channel() -> None:
    """The age of a book's data grows while its quotes come by REST."""
    partition = lost()
    partition.send(answer(9000, 20), tick("okx", 10_001))
    [report] = [
        body
        for topic, body in partition.events
        if topic == "market.status" and body["type"] == "report" and body["channels"] == ["books"]
    ]
    assert (report["messages"], report["age"]) == (1, 9_991_000)


@pytest.mark.parametrize("with_ids", [True, False])
def test_never_backwards(with_ids: bool) -> None:
    """An answer older than the last BBO, or than the last answer, is left out: by its id, or else by its time."""
    numbers = (30, 29, 30, 40, 39) if with_ids else (0,) * 5
    times = (MS,) * 5 if with_ids else (MS + 300, MS + 299, MS + 300, MS + 400, MS + 399)
    bbo, *answers = zip(numbers, times, strict=True)
    partition = lost()
    frame = okx.bbo(bbo[0], "100", "1", "101", "2").replace(b"1790000000201", str(bbo[1]).encode())
    partition.send(line(KEY, frame, 6000))
    for number, (sequence, ts) in enumerate(answers):
        partition.reload()
        partition.send(answer(6100 + number, sequence, ts=ts))
    assert [(quote["sequence"], quote["timestamp"]) for quote in partition.quotes()] == [
        (sequence, ts * 1000) for sequence, ts in (answers[1], answers[2])
    ]


def test_ids_that_start_over() -> None:
    """After an exchange has started its ids over, answers count again within seconds."""
    partition = lost()
    partition.send(answer(6000, 1000), answer(7000, 2), answer(12_000, 3), answer(13_000, 4))
    assert [quote["sequence"] for quote in partition.quotes()] == [1000, 3, 4]


def test_a_time_in_the_future() -> None:
    """Such an answer is set aside: those that follow would seem to be older."""
    partition = lost()
    partition.send(answer(6000, 20, ts=MS + 10**9), answer(7000, 20))
    assert [quote["timestamp"] for quote in partition.quotes()] == [MS * 1000]
    [reason] = [body["reason"] for topic, body in partition.events if topic == "dead_letters"]
    assert "a time in the future" in reason


def test_out_of_the_join() -> None:
    """The join is sent quotes by REST only if the settings say so, with the state of the book."""
    partition = lost()
    partition.send(answer(6000, 20))
    assert [body["origin"] for _, body in partition.joined if "origin" in body] == ["book"]
    wanted = Partition(arbitrage_rest_quotes=True)
    wanted.send(line(KEY, BOOK, 10), LOST, answer(6000, 20))
    assert wanted.joined[-1] == ("stale", wanted.quotes()[0])
    wanted.send(answer(7000, 30, bid="103"), answer(8000, 40, bid="104"))
    assert len(wanted.quotes()) == 3
    assert wanted.joined[-1][1]["sequence"] == 20  # the others are crossed: nothing can be traded at such prices
    excluded = Partition(arbitrage_rest_quotes=True, arbitrage_exclude=[KEY])
    excluded.send(line(KEY, BOOK, 10), LOST, answer(6000, 20))
    assert excluded.joined == []


def test_a_malformed_answer() -> None:
    """It is one dead letter, with the request that it answers."""
    partition = lost()
    body = dumps({"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []})
    partition.send(polled(body, 6000), answer(7000, 20))
    [letter] = [body for topic, body in partition.events if topic == "dead_letters"]
    assert PATH in letter["reason"]
    assert "51001" in letter["reason"]
    assert len(partition.quotes()) == 1
