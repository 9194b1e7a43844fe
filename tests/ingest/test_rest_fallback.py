"""Polling of books without a socket, in virtual time: when it begins and ends, how often, and what it leaves others."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from ingest.exchanges.base import Route
from ingest.exchanges.binance import BinanceSpot
from ingest.rest import Limits, Rest, RestPool
from ingest.rest_fallback import Fallback
from ingest.subscription import Subscription, discard
from schemas.errors import ExchangeError, RejectedError
from schemas.instruments import Instrument, assumed_instrument
from schemas.limits import MAX_FRAME
from schemas.markers import Answer, Definition, RestFallback, RestFallbackEnded
from tests.ingest.polling import Answering, Markings
from tests.ingest.rigs import uplinks_to
from tests.ingest.virtual_time import VirtualTime

BODY = b'{"lastUpdateId":1,"bids":[],"asks":[]}'
BTC, ETH = (assumed_instrument("binance-spot", "binance", symbol) for symbol in ("BTC-USDT", "ETH-USDT"))
AFTER, SILENT_AFTER = 5.0, 30.0


class Roomy(Answering):
    """Client that has room for a number of requests, which take `takes_s` each."""

    room, takes_s = 1_000_000, 0.1

    async def wait_for_room(self, weight: float) -> None:
        while not self.room:
            await asyncio.sleep(0.1)
        self.room -= 1

    async def get(self, path: str, weight: float = 1, **params: str) -> bytes:
        await asyncio.sleep(self.takes_s)
        return await super().get(path, weight, **params)


class Bench:
    """Fallback of some instruments of Binance spot. Each action is done at its time, s since the start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *instruments: Instrument) -> None:
        self.clock = VirtualTime(monkeypatch)
        self.answer: Callable[[], bytes] = lambda: BODY
        self.rest = Roomy(lambda path, params: self.answer())
        self.written = Markings()
        self.instruments = {each.key: each for each in instruments or (BTC,)}
        self.subscriptions: dict[str, Subscription] = {}
        self.fallback = Fallback(
            BinanceSpot(), self.instruments, self.subscriptions.get, self.rest, self.written, AFTER, SILENT_AFTER
        )

    def subscribe(self, instrument: Instrument = BTC, acknowledged: bool = True) -> None:
        """Open a socket with the book of an instrument."""
        subscription = Subscription(Route("data", instrument.exchange_symbol, "books"), discard)
        subscription.acknowledged_at = time.time_ns() if acknowledged else 0
        self.subscriptions[instrument.key] = subscription

    def deliver(self) -> None:
        """Deliver a message of each subscribed book."""
        for subscription in self.subscriptions.values():
            subscription.last_message_at = time.time_ns()

    def close(self) -> None:
        """Lose all sockets."""
        self.subscriptions.clear()

    def run(self, seconds: float, *actions: tuple[float, Callable[[], object]]) -> None:
        async def main() -> None:
            task = asyncio.create_task(self.fallback.run())
            for at, action in (*actions, (seconds, lambda: None)):
                await asyncio.sleep(at - self.clock.elapsed)
                action()
            task.cancel()
            await asyncio.wait([task])

        self.clock.run(main())

    def at(self, kind: type[Answer | RestFallback | RestFallbackEnded], instrument: Instrument = BTC) -> list[float]:
        """Return when markers of a type were written about an instrument, s since the start."""
        start = self.clock.epoch * 1e6
        return [round((each.at - start) / 1e6, 1) for each in self.written.of(kind) if each.key == instrument.key]

    @property
    def reasons(self) -> list[str]:
        markers = [each.marker for each in self.written.written]
        return [each.reason for each in markers if isinstance(each, RestFallback | RestFallbackEnded)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_begins_and_ends(bench: Bench) -> None:
    """After 5 s without a socket a book is polled about once a second, until its subscription is acknowledged."""
    bench.subscribe()
    bench.run(20, (3, bench.close), (15, bench.subscribe), (15.1, bench.deliver))
    assert bench.at(RestFallback) == pytest.approx([8], abs=0.5)
    assert bench.at(RestFallbackEnded) == pytest.approx([15], abs=0.5)
    answers = bench.at(Answer)
    assert 5 <= len(answers) <= 7
    assert answers[0] < 9
    assert answers[-1] < 15.1
    assert bench.reasons == ["no socket is open", "the socket delivers again"]


def test_what_is_written(bench: Bench) -> None:
    """The definition and the reason come first, and the answer is unchanged, with what was asked."""
    bench.run(5.9)
    definition, begun, answer = (each.marker for each in bench.written.written[:3])
    assert definition == Definition(BTC)
    assert begun == RestFallback(reason="no socket is open")
    assert isinstance(answer, Answer)
    assert (answer.channel, answer.path) == ("books", "/api/v3/depth?symbol=BTCUSDT&limit=5")
    assert bytes(answer.body) == BODY


def test_a_short_outage(bench: Bench) -> None:
    """A reconnect that succeeds in time is not noticed."""
    bench.subscribe()
    bench.run(20, (3, bench.close), (7, bench.subscribe))
    assert bench.written.written == []


def test_not_acknowledged(bench: Bench) -> None:
    """A subscription that the exchange does not acknowledge brings no book."""
    bench.subscribe(acknowledged=False)
    bench.run(7)
    assert bench.reasons[0] == "not subscribed"


def test_silence(bench: Bench) -> None:
    """A subscription that is silent beyond its limit is an outage, which begins then."""
    bench.subscribe()
    bench.run(45, (1, bench.deliver), (40, bench.deliver))
    assert bench.at(RestFallback) == pytest.approx([36], abs=0.5)
    assert bench.reasons == ["silent for 35 s", "the socket delivers again"]


def test_an_answer_that_is_not_needed_any_more(bench: Bench) -> None:
    """A request that is under way when the socket delivers is given up."""
    bench.rest.takes_s = 1.0
    bench.run(9, (5.5, bench.subscribe))
    assert len(bench.at(RestFallbackEnded)) == 1
    assert (bench.rest.requested, bench.at(Answer)) == ([], [])


def test_failures(bench: Bench) -> None:
    """What may get better is asked again within a second or two, what is rejected only after half a minute."""

    def fail() -> bytes:
        raise ExchangeError("down")

    def reject() -> bytes:
        raise RejectedError("no such symbol")

    bench.answer = fail
    bench.run(60, (10, lambda: setattr(bench, "answer", reject)))
    assert bench.at(Answer) == []
    assert 4 <= len(bench.rest.requested) <= 8


@pytest.mark.parametrize("body", [bytes(MAX_FRAME + 1), b"", b"<html>maintenance</html>", b"[]"])
def test_unusable_answers(bench: Bench, body: bytes) -> None:
    """What is no JSON object, or too large to be kept, counts as a rejection, whatever its HTTP status."""
    bench.answer = lambda: body
    bench.run(30)
    assert (bench.at(Answer), len(bench.rest.requested)) == ([], 1)


def test_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked while the budgets have no room, and those that waited longest come first, four at a time."""
    bench = Bench(monkeypatch, *(assumed_instrument("binance-spot", "binance", f"{base}-USDT") for base in "ABCDEFGH"))
    bench.rest.room = 4
    bench.run(40, *((at, lambda: setattr(bench.rest, "room", 4)) for at in (10, 20, 30)))
    symbols = [params["symbol"][0] for _, params in bench.rest.requested]
    assert ["".join(sorted(symbols[first : first + 4])) for first in range(0, 20, 4)] == ["ABCD", "EFGH"] * 2 + [""]


def test_delisting(bench: Bench) -> None:
    """Nothing is written any more about an instrument that is gone."""
    bench.run(12, (8, bench.instruments.clear))
    assert bench.at(RestFallbackEnded) == []
    assert max(bench.at(Answer)) < 8.3


def test_delisting_during_a_request(bench: Bench) -> None:
    """The answer of a request that was under way is dropped, too."""

    def delist() -> bytes:
        bench.instruments.clear()
        return BODY

    bench.answer = delist
    bench.run(8)
    assert len(bench.rest.requested) == 1
    assert bench.at(Answer) == []


def test_a_stop(bench: Bench) -> None:
    """The end of ingest is the end of its polls."""
    bench.run(8)
    assert bench.reasons[-1] == "polling has ended"


async def test_half_of_a_budget_is_left() -> None:
    """However many books are polled, in any minute half of the weight that ingest may spend is left to others."""
    limits = Limits(6000, "a-pool", {}, {})
    async with RestPool() as pool:
        rest, budgets = Rest("a-feed", uplinks_to("http://127.0.0.1:1"), limits, pool), pool.budgets(limits)
        polled = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    await rest.wait_for_room(5)
                    await budgets.acquire("/depth", 5, {})
                    polled += 1
        assert polled == pytest.approx(150, abs=5)  # half of the 1500 that can be spent at once, and what refills
        began = time.monotonic()
        await asyncio.gather(*(budgets.acquire("/depth", 250, {}) for _ in range(3)))
        assert time.monotonic() - began < 0.1


async def test_urgent_requests_come_first() -> None:
    """There is no room while others have spent more than half of what can be spent at once."""
    limits = Limits(6000, "a-pool", {}, {})
    async with RestPool() as pool:
        rest, budgets = Rest("a-feed", uplinks_to("http://127.0.0.1:1"), limits, pool), pool.budgets(limits)
        await budgets.acquire("/depth", 1000, {})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rest.wait_for_room(5), 0.6)
