"""Polls of a feed, in virtual time: alignment, catching up, failures, listing and delisting."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import orjson
import pytest

from ingest.poll_schedule import jitter_of
from ingest.polls import Polls
from schemas.errors import ExchangeError, RejectedError
from schemas.instruments import Instrument
from schemas.limits import MAX_FRAME
from schemas.markers import Connected, Definition, Disconnected, Resumed, Silent, Stopped
from tests.ingest.polling import PERIODS, START, Answering, Markings, perp, polled, rows_of
from tests.ingest.virtual_time import VirtualTime

BTC, ETH = perp("BTC"), perp("ETH")
KEY = BTC.key


def history(now: float, params: dict[str, str], published_after: float = 0.0) -> bytes:
    """Return the rows of 5 minutes that are published, newest first; each has its begin as its time."""
    latest = int((now - published_after) // 300 * 300) - 300
    return orjson.dumps([[(latest - 300 * number) * 1000] for number in range(int(params["limit"]))])


class Bench:
    """Polls of some channels with a client that answers by `answer`, in virtual time from 100 s after a period."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *channels: str, periods: Mapping[str, float] = PERIODS) -> None:
        self.clock = VirtualTime(monkeypatch, START + 100)
        self.answer: Callable[[str, dict[str, str]], bytes] = lambda path, params: history(time.time(), params)
        self.rest = Answering(self._answer)
        self.written = Markings()
        self.offset = 0
        self.instruments: dict[str, Instrument] = {}
        self.requested_at: list[float] = []  # s since START
        self.polls = Polls(polled(*channels), self.instruments, periods, self.rest, self.written, lambda: self.offset)
        self.add(BTC)

    def _answer(self, path: str, params: dict[str, str]) -> bytes:
        self.requested_at.append(time.time() - START)
        return self.answer(path, params)

    def add(self, *instruments: Instrument) -> None:
        self.instruments.update((each.key, each) for each in instruments)
        self.polls.add(instruments)

    def run(self, seconds: float, *actions: tuple[float, Callable[[], object]]) -> None:
        """Poll until the given number of s since START; do each action at its time, s since START."""

        async def main() -> None:
            task = asyncio.create_task(self.polls.run())
            for at, action in (*actions, (seconds, lambda: None)):
                await asyncio.sleep(START + at - time.time())
                action()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        self.clock.run(main())

    def limits(self) -> list[int]:
        return [int(params["limit"]) for _, params in self.rest.requested]

    def rows(self) -> list[int]:
        """Return the begins of all rows that were written, s since START, each once."""
        times = {row for _, _, answer in self.written.answers for row in rows_of(bytes(answer.body))}
        return sorted(time // 1000 - int(START) for time in times)


@pytest.fixture
def ratios(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch, "account_ratios")


def failing(between: Iterable[tuple[float, float]], error: type[ExchangeError] = ExchangeError) -> Callable[..., bytes]:
    """Return an answer that fails in these spans, s since START."""
    spans = list(between)

    def answer(path: str, params: dict[str, str]) -> bytes:
        if any(begin <= time.time() - START < end for begin, end in spans):
            raise error("no")
        return history(time.time(), params)

    return answer


def test_aligned_to_periods(ratios: Bench) -> None:
    """Each period is polled once, when the exchange has published it: at the start, and after the end of each."""
    ratios.run(1000)
    jitter = jitter_of("account_ratios", KEY, 300.0)
    assert ratios.requested_at == pytest.approx([100 + jitter, 305 + jitter, 605 + jitter, 905 + jitter], abs=1e-3)
    assert [(key, answer.channel, answer.path) for _, key, answer in ratios.written.answers] == [
        (KEY, "account_ratios", f"/ratios?symbol=BTCUSDT&limit={count}") for count in (12, 2, 2, 2)
    ]
    assert [answer.due / 1e6 - START for _, _, answer in ratios.written.answers] == pytest.approx(
        [100, 305, 605, 905], abs=1e-3
    )


def test_exchange_clock(ratios: Bench) -> None:
    """Periods are those of the exchange's clock, and so is the time at which a poll was due."""
    ratios.offset = -40_000_000
    ratios.run(700)
    jitter = jitter_of("account_ratios", KEY, 300.0)
    assert ratios.requested_at[1:] == pytest.approx([345 + jitter, 645 + jitter], abs=1e-3)
    assert [answer.due / 1e6 - START for _, _, answer in ratios.written.answers] == pytest.approx(
        [60, 305, 605], abs=1e-3
    )


def test_missed_periods_are_caught_up(ratios: Bench) -> None:
    """After an outage all missed periods are asked for, and no row is lost."""
    ratios.answer = failing([(300, 1600)])
    ratios.run(2200)
    assert ratios.limits()[-3:] == [6, 2, 2]
    assert set(range(-300, 1800, 300)) <= set(ratios.rows())
    assert max(b - a for a, b in zip(ratios.requested_at, ratios.requested_at[1:], strict=False)) < 301


def test_a_failure_is_retried_in_its_period(ratios: Bench) -> None:
    """A failed request is repeated soon, not only a period later."""
    ratios.answer = failing([(300, 320)])
    ratios.run(600)
    assert 320 <= ratios.written.answers[1][0] / 1e6 - START < 340


def test_no_more_rows_than_an_answer_holds(ratios: Bench) -> None:
    """However long the outage, no more is asked for than the exchange gives."""
    ratios.answer = failing([(300, 15_000)])
    ratios.run(15_400)
    assert max(ratios.limits()) == 30


def test_polled_less_often_than_rows_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a poll's period is that of several rows, all of them are asked for: at the start, later, and in a retry."""
    bench = Bench(monkeypatch, "account_ratios", periods={"account_ratios": 1800.0})
    bench.answer = failing([(2650, 3500)])
    bench.run(7500)
    assert bench.limits()[0] == 15  # all of the hour before the running period, and what that has so far
    assert set(range(-4500, 6300, 300)) <= set(bench.rows())
    assert len(bench.written.answers) == 5  # nothing was missing in an answer


def test_rejections_are_not_repeated(ratios: Bench) -> None:
    """A request that the exchange rejects is made once per period."""
    ratios.answer = failing([(0, 1400)], RejectedError)
    ratios.run(1700)
    assert len(ratios.requested_at) == 6
    assert len(ratios.written.answers) == 1


def test_a_period_that_is_published_late(ratios: Bench) -> None:
    """An answer without the period is followed by others, until it is there. Only news are written."""
    late = {1200: 25.0}

    def answer(path: str, params: dict[str, str]) -> bytes:
        now = time.time()
        return history(now, params, published_after=late.get(int((now - START) // 300 * 300), 0.0))

    ratios.answer = answer
    ratios.run(1500)
    times = [at / 1e6 - START for at, _, _ in ratios.written.answers]
    assert len(times) == 6
    assert 1205 <= times[-2] < 1210
    assert 1225 <= times[-1] < 1240
    assert len(ratios.requested_at) == 9
    assert ratios.rows()[-1] == 900


def test_a_period_that_never_comes(ratios: Bench) -> None:
    """What is not there is asked for a few times, then with the next period. Empty answers are written once each."""
    ratios.answer = lambda path, params: b"[]" if time.time() > START + 1200 else history(time.time(), params)
    ratios.run(1800)
    after = [at for at in ratios.requested_at if at > 1200]
    assert len(after) == 1 + 6 + 1
    assert ratios.limits()[-1] == 3
    assert [bytes(answer.body) for _, _, answer in ratios.written.answers][-2:] == [b"[]", b"[]"]


def test_never_two_at_once(ratios: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that takes longer than a period is the only one of its subject."""
    busy, busiest = 0, 0

    async def get(path: str, weight: float = 1, **params: str) -> bytes:
        nonlocal busy, busiest
        busy += 1
        busiest = max(busiest, busy)
        await asyncio.sleep(700)
        busy -= 1
        return history(time.time(), params)

    monkeypatch.setattr(ratios.rest, "get", get)
    ratios.run(5000)
    assert busiest == 1
    assert set(range(-300, 3900, 300)) <= set(ratios.rows())


def test_current_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Current values are polled every minute; those that were missed are not asked for."""
    bench = Bench(monkeypatch, "open_interest")

    def answer(path: str, params: dict[str, str]) -> bytes:
        if 200 < time.time() - START < 400:
            raise ExchangeError("no")
        return b'{"openInterest": "17",\n "time": 1}'

    bench.answer = answer
    bench.run(600)
    times = [round(at / 1e6 - START) // 60 for at, _, _ in bench.written.answers]
    assert times == [1, 2, 3, 6, 7, 8, 9]
    assert {params.keys() == {"symbol"} for _, params in bench.rest.requested} == {True}
    assert {bytes(answer.body) for _, _, answer in bench.written.answers} == {b'{"openInterest":"17","time":1}'}


@pytest.mark.parametrize(
    ("body", "written"),
    [(b"<html>", b'"<html>"'), (b'{"no": "rows"}', b'{"no":"rows"}'), (b"", b'""'), (b'["a"]', b'["a"]')],
)
def test_odd_answers(ratios: Bench, body: bytes, written: bytes) -> None:
    """Whatever an exchange answers is written, and the next period is polled."""
    ratios.answer = lambda path, params: body if time.time() < START + 300 else history(time.time(), params)
    ratios.run(400)
    bodies = [bytes(answer.body) for _, _, answer in ratios.written.answers]
    assert bodies[0] == written
    assert len(bodies) == 2


def test_huge_answer(ratios: Bench) -> None:
    """An answer that no record can hold is left out."""
    ratios.answer = lambda path, params: b"[" + b"1" * MAX_FRAME + b"]"
    ratios.run(400)
    assert (len(ratios.requested_at), ratios.written.answers) == (2, [])


def test_one_poll_does_not_end_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in one poll leaves the others alone, and that poll goes on."""
    bench = Bench(monkeypatch, "account_ratios", "open_interest")

    def answer(path: str, params: dict[str, str]) -> bytes:
        if path == "/ratios" and time.time() < START + 400:
            raise KeyError("bug")
        return history(time.time(), {"limit": "1"} | params)

    bench.answer = answer
    bench.run(700)
    channels = [answer.channel for _, _, answer in bench.written.answers]
    assert channels.count("open_interest") == 11
    assert channels.count("account_ratios") >= 2


# Subjects


def test_currencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is about a currency is polled once for all its instruments, under the currency's key."""
    bench = Bench(monkeypatch, "currency_taker_volumes")
    coin = BTC.model_copy(update={"symbol": "BTC-USDC-PERP", "quote": "USDC", "exchange_symbol": "BTCUSDC"})
    bench.run(
        1300,
        (110, lambda: bench.add(coin, ETH)),
        (400, lambda: bench.polls.remove(BTC)),
        (700, lambda: bench.polls.remove(coin)),
    )
    polled_at = [(key, round(at / 1e6 - START) // 300) for at, key, _ in bench.written.answers]
    assert [number for key, number in polled_at if key == "binance:BTC"] == [0, 1, 2]
    assert [number for key, number in polled_at if key == "binance:ETH"] == [0, 1, 2, 3, 4]
    assert [each.key for each in bench.written.of(Disconnected)] == ["binance:BTC"]
    assert [each.key for each in bench.written.of(Stopped)] == ["binance:ETH"]
    assert {params["ccy"] for _, params in bench.rest.requested} == {"BTC", "ETH"}
    assert not bench.written.of(Definition)


def test_kinds_of_instruments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only instruments that have it are polled."""
    bench = Bench(monkeypatch, "account_ratios")
    bench.add(BTC.model_copy(update={"symbol": "BTC-USDT-261225", "kind": "future"}))
    bench.run(700)
    assert {key for _, key, _ in bench.written.answers} == {KEY}


def test_markers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definition and connection come before the first answer. The end is marked, too."""
    bench = Bench(monkeypatch, "account_ratios", "open_interest")
    bench.run(400)
    first, second, *_, last = bench.written.written
    assert first.marker == Definition(BTC)
    assert second.marker == Connected(channels=["account_ratios", "open_interest"])
    assert last.marker == Stopped(channels=["account_ratios", "open_interest"])
    assert len(bench.written.of(Connected)) == len(bench.written.of(Stopped)) == 1


def test_delisted(ratios: Bench) -> None:
    """A removed instrument has no more lines, even if a request is under way; the others go on."""
    ratios.add(ETH)
    ratios.run(1300, (700, lambda: ratios.polls.remove(BTC)), (1000, lambda: ratios.add(BTC)))
    lines = [(each.at / 1e6 - START, type(each.marker)) for each in ratios.written.written if each.key == KEY]
    assert not [at for at, _ in lines if 700 <= at < 1000]
    assert [kind for at, kind in lines if at >= 1000][:2] == [Definition, Connected]
    assert len([1 for _, key, _ in ratios.written.answers if key == ETH.key]) == 5


def test_silence(ratios: Bench) -> None:
    """A poll without an answer for two periods is reported, once, and its first answer too."""
    ratios.answer = failing([(600, 1900)])
    ratios.run(2500)
    [(silent_at, _, silent)], [(resumed_at, _, resumed)] = ratios.written.of(Silent), ratios.written.of(Resumed)
    assert isinstance(silent, Silent)
    assert isinstance(resumed, Resumed)
    assert (silent.channel, silent.step, resumed.channel) == ("account_ratios", "retry", "account_ratios")
    assert 305 + 605 <= silent_at / 1e6 - START < 305 + 605 + 15
    assert 605e6 <= silent.age < 615e6
    assert 1900 <= resumed_at / 1e6 - START < 1920
    assert resumed.age == pytest.approx(resumed_at - START * 1e6 - 305e6, abs=6e6)


def test_clock_is_set_back(ratios: Bench) -> None:
    """If our clock is set back by an hour, polling goes on."""

    def step() -> None:
        ratios.clock.epoch -= 3600

    async def main() -> None:
        task = asyncio.create_task(ratios.polls.run())
        await asyncio.sleep(500)
        step()
        await asyncio.sleep(1000)
        task.cancel()

    ratios.clock.run(main())
    assert len(ratios.requested_at) >= 2 + 3
