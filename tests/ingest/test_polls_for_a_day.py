"""A day of polls, in virtual time, against a real server with limits and faults: no period is lost, nor late."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

import pytest

from ingest.clock import compare_clock
from ingest.polls import Polls
from ingest.rest import Limit, Limits, Rest, RestPool
from ingest.uplinks import Uplink
from schemas.markers import Disconnected, RestDown, RestUp, Silent, Stopped
from tests.ingest.polled_exchange import AHEAD, Fault, PolledExchange, published_after
from tests.ingest.polling import PERIODS, START, Markings, Polled, perp, rows_of
from tests.ingest.rigs import uplinks_to
from tests.ingest.virtual_time import VirtualTime

DAY = 86_400.0
LATE = 30.0  # s
BASES = ("BTC", "ETH", "SOL", "XRP")
LIMITS = {
    "/current": Limit(20, 60, ("symbol",)),
    "/ratios": Limit(60, 300),
    "/volumes": Limit(10, 2, ("path",)),
    "/funding": Limit(40, 300),
}
# Longer than a poll may be late: the server demands this wait, or cannot be reached for that time.
LONG = (
    Fault("ban", START + 5 * 3600 + 130, 900, status=418),
    Fault("error", START + 9 * 3600 + 290, 300),
    Fault("hang", START + 13 * 3600 + 2, 400),
    Fault("ban", START + 17 * 3600 + 290, 2 * 3600),
)
SHORT = ("ban", "error", "hang", "drop", "empty", "garbage")


def short_faults() -> Iterator[Fault]:
    """Yield a fault of a few seconds every ten minutes, every other one at the time at which polls are due."""
    chance = random.Random(7)
    for number in range(1, int(DAY // 600)):
        begin = START + number * 600 + (chance.uniform(5, 10) if number % 2 else chance.uniform(20, 500))
        kind = SHORT[number // 2 % len(SHORT)]
        fault = Fault(kind, begin, chance.uniform(1, 10), status=chance.choice((429, 418)))
        if not any(each.begin - 30 < begin < each.end + 30 for each in LONG):
            yield fault


class DayOfPolls(Polled):
    """The feed's limits are those of the server."""

    @property
    def limits(self) -> Limits:
        return super().limits._replace(endpoints=LIMITS)


class CountedRest(Rest):
    """Client that counts the requests that are under way."""

    under_way = 0

    async def _get(self, uplink: Uplink, path: str, params: dict[str, str]) -> bytes:
        self.under_way += 1
        try:
            return await super()._get(uplink, path, params)
        finally:
            self.under_way -= 1


class Day(NamedTuple):
    """What happened in a day."""

    exchange: PolledExchange
    written: Markings
    arrived: Mapping[tuple[str, str], Mapping[float, float]]
    """Receipt of each period or current value, by path and key: exchange time, s, by the period's end."""


async def poll(exchange: PolledExchange, written: Markings, clock: VirtualTime, seconds: float) -> None:
    connector = DayOfPolls((), channels=tuple(PERIODS))
    offset = 0
    async with exchange.served() as address, RestPool() as pool:

        def mark(marker: object) -> None:
            if isinstance(marker, RestDown | RestUp):
                written.write_marker(time.time_ns(), "binance:*", marker)

        rest = CountedRest("binance-usdm", uplinks_to(address), connector.limits, pool, mark)
        clock.awaits_data = lambda: rest.under_way > exchange.holding

        async def compare() -> None:
            nonlocal offset
            while True:
                with suppress(Exception):
                    offset = (await compare_clock(connector, rest)).offset
                await asyncio.sleep(600)

        polls = Polls(connector, {}, PERIODS, rest, written, lambda: offset)
        polls.add(perp(base) for base in BASES)
        tasks = [asyncio.create_task(compare()), asyncio.create_task(polls.run())]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def day() -> Day:
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = VirtualTime(monkeypatch, START)
        exchange, written = PolledExchange(LIMITS, [*short_faults(), *LONG]), Markings()
        clock.run(poll(exchange, written, clock, DAY))
    return Day(exchange, written, arrivals(written))


STAMPS = {"/ratios": 300, "/volumes": 0, "/funding": 0}  # s from a row's time to its period's end


def arrivals(written: Markings) -> dict[tuple[str, str], dict[float, float]]:
    found: dict[tuple[str, str], dict[float, float]] = {}
    for at, key, answer in written.answers:
        path, received, body = answer.path.partition("?")[0], at / 1e6 + AHEAD, bytes(answer.body)
        ends = [answer.due / 1e6]
        if path in STAMPS:
            ends = [row / 1000 + STAMPS[path] for row in rows_of(body)] if body.startswith(b"[") else []
        for end in ends:
            found.setdefault((path, key), {}).setdefault(end, received)
    return found


def expected(path: str, period: float) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield each subject of a path with each period that ends in the day, but for its last minute."""
    for base in BASES:
        key = f"binance:{base}" if path == "/volumes" else perp(base).key
        end = (START + AHEAD) // period * period + period
        while end < START + DAY - 60:
            yield (path, key), end
            end += period


def in_long_fault(end: float) -> Fault | None:
    return next((fault for fault in LONG if fault.begin - LATE < end < fault.end), None)


def test_no_period_is_lost(day: Day) -> None:
    """Each period of each history arrives, whatever was in its way."""
    wanted = [*expected("/ratios", 300), *expected("/volumes", 300), *expected("/funding", 8 * 3600)]
    assert len(wanted) > 2 * 4 * 280
    assert [(subject, end - START) for subject, end in wanted if end not in day.arrived[subject]] == []


def test_current_values_are_polled_every_minute(day: Day) -> None:
    """Of values without history none is missing, but while the server did not serve any."""
    missing = [
        end - START
        for subject, end in expected("/current", 60)
        if end not in day.arrived[subject] and not any(each.begin - 60 < end < each.end + 60 for each in LONG)
    ]
    assert missing == []


def test_polls_are_on_time(day: Day) -> None:
    """Of a hundred periods 99 arrive within 30 s of their publication, where the server allows it."""
    delays, held_up = [], 0
    for path, period in (("/ratios", 300), ("/volumes", 300), ("/current", 60)):
        for (_, key), end in expected(path, period):
            if (received := day.arrived[path, key].get(end)) is None:
                continue
            lag = Polled.polls["account_ratios"].lag_s if path == "/ratios" else 0.0
            if (fault := in_long_fault(end + lag)) is not None:
                held_up += 1
                assert received < fault.end + 120
            else:
                delays.append(received - (end + lag))
    delays.sort()
    assert held_up > 100
    assert delays[len(delays) // 2] < 6
    assert delays[len(delays) * 99 // 100] < LATE


def test_limits_are_kept(day: Day) -> None:
    """By the server's own count no more than half of any limit is used, and no request disregards a ban."""
    assert set(day.exchange.most) == set(LIMITS)
    assert max(day.exchange.most.values()) <= 0.5
    assert day.exchange.violations == []


def test_every_fault_took_effect(day: Day) -> None:
    """The faults were met, late periods too: the other tests prove something."""
    assert min(day.exchange.seen[kind] for kind in SHORT) > 5
    late = sum(published_after(path, "BTCUSDT", end) > 5 for (path, _), end in expected("/ratios", 300))
    assert late > 20
    assert day.exchange.requests > 8000


def test_outages_are_reported(day: Day) -> None:
    """The outages are marked when the host is down and up, and for each poll without an answer for two periods."""
    downs, ups = (len(day.written.of(kind)) for kind in (RestDown, RestUp))
    assert 2 <= downs == ups
    assert {each.key for each in day.written.of(Silent)} >= {perp(base).key for base in BASES}
    assert not day.written.of(Disconnected)
    assert day.written.of(Stopped)
