"""One hostile run: a seed, a pipeline of real processes, and what came of it as a report."""

import asyncio
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from marketprism.local.broker import Broker, free_port
from marketprism.ops.control import ask_to_reconnect
from marketprism.ops.topics import create_topics
from marketprism.simulator import Disconnect, Gap, Limits, Mutate, Simulators
from marketprism.simulator.market.listings import LISTINGS
from schemas.errors import MarketPrismError
from schemas.events import TABLES
from schemas.feeds import FEEDS
from schemas.keys import EVERY, UNKNOWN
from schemas.settings import Settings, load_settings
from tests.e2e.accounting import Accounts
from tests.e2e.follower import Follower, key_of
from tests.e2e.pipeline import Pipeline

RATE = 1.5  # of the simulated markets: some 900 messages a second
MUTATED, RARE = 0.01, 0.05  # shares of the data, and of what there is little of
STARTED, HEALED, EQUAL = 60.0, 75.0, 20.0  # s that the start may take, that books may take to be live, and true
LIVELY = {"instruments_refresh_s": 5.0}  # settings of what else is asked of the exchanges
MOST_RESTARTS = 3  # after which there is nothing to wait for
DISTURBED = 8.0  # s between two moves or losses of connections

_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*\S.*")


@dataclass
class Report:
    """What one seed led to; `problems` empty: all was well."""

    seed: int
    seconds: float
    messages: int = 0
    mutated: dict[str, int] = field(default_factory=dict)
    damages: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Run:
    """One seed on one pipeline of real processes."""

    def __init__(self, settings: Settings, seed: int, seconds: float, logs: Path) -> None:
        self.report = Report(seed, seconds)
        self._base = settings
        self._logs = logs
        self._random = Random(f"hostile:{seed}")
        self._mutations: list[dict[str, Any]] = []

    async def run(self) -> Report:
        """All of it; what ends it early is a problem of its report."""
        limits = Limits(ping_interval=3.0)  # pings are messages as well
        async with Simulators(seed=self.report.seed, rate=RATE, limits=limits) as self._simulators:
            settings = self._settings()
            async with Pipeline(settings, self._logs) as self._pipeline, Follower(settings) as self._seen:
                try:
                    await self._through()
                except (AssertionError, TimeoutError, MarketPrismError) as error:
                    self.report.problems.append(f"the run ended: {error!r}")
                self._look_at_processes()
        return self.report

    async def _through(self) -> None:
        await self._pipeline.sink()
        await self._pipeline.worker()
        await self._pipeline.ingest()
        await self._seen.until(self._seen.live, "every book is live", STARTED)
        await self._hostile()
        await self._heal()
        await self._pipeline.supervisor.retire("ingest")
        await self._pipeline.stored()
        await self._seen.caught_up()
        await self._account()

    def _settings(self) -> Settings:
        own = {
            "endpoints": self._simulators.endpoints,
            "symbols": sorted({listing.symbol for listing in LISTINGS}),
            "channel_timeout_s": {"trades": 8, "books": 3, "quotes": 3},
        }
        known = {name: value for name, value in LIVELY.items() if name in Settings.model_fields}
        return load_settings(**self._base.model_dump() | own | known)

    # The run

    async def _hostile(self) -> None:
        """Mutate, while connections move and are lost, and books have gaps: so there are snapshots to mutate."""
        seed, seconds = self.report.seed, self.report.seconds
        planted = [
            await self._simulators.plant(Mutate(feed=feed, seed=seed, rate=MUTATED, rare_rate=RARE, seconds=seconds))
            for feed in FEEDS
        ]
        disturbing = asyncio.create_task(self._disturb())
        await asyncio.gather(*(each.over(seconds + 10) for each in planted))
        disturbing.cancel()
        with suppress(asyncio.CancelledError):
            await disturbing
        for each in planted:
            self.report.messages += each.result["messages"]
            self.report.mutated = dict(Counter(self.report.mutated) + Counter(each.result["whats"]))
            self.report.damages = dict(Counter(self.report.damages) + Counter(each.result["damages"]))
            self._mutations += each.result["mutations"]

    async def _disturb(self) -> None:
        due, moves = DISTURBED / 2, True
        while True:
            await asyncio.sleep(1)
            listing = self._random.choice(LISTINGS)
            await self._simulators.plant(Gap(feed=listing.feed, symbol=listing.symbol))
            due -= 1
            if due <= 0:
                if moves:
                    await ask_to_reconnect(self._pipeline.settings, FEEDS)
                else:
                    await self._simulators.plant(Disconnect(feed=self._random.choice([*FEEDS])))
                due, moves = DISTURBED, not moves

    async def _heal(self) -> None:
        """Nothing is mutated any more: every book gets live, and true, and quotes reach the join."""
        began = time.monotonic()
        await self._reached(self._seen.live, HEALED, lambda: f"not live again: {self._seen.not_live()}")
        self.report.took["live"] = round(time.monotonic() - began, 1)
        await self._resynchronise()
        began = time.monotonic()
        self._simulators.pause()
        await asyncio.sleep(1.5)
        await self._reached(
            lambda: not self._seen.differences(self._simulators), EQUAL,
            lambda: f"books are not true: {self._seen.differences(self._simulators)}",
        )  # fmt: skip
        self._simulators.resume()
        self.report.took["equal"] = round(time.monotonic() - began, 1)
        self._seen.joined.clear()
        await self._reached(lambda: not self._not_joined(), 10, lambda: f"not in the join: {self._not_joined()}")

    async def _resynchronise(self) -> None:
        """Give books a gap, and so a new snapshot, that took a mutated message for a true one.

        A wrong amount deep in a book cannot be told from a right one until then.
        """
        digests = {sent["sha256"] for each in self._mutations for sent in each["sent"]}
        taken = Accounts(self._seen, self._mutations).books_that_took(digests)
        opened = {key: self._seen.books[key].opened for key in taken if key in self._seen.books}
        for listing in LISTINGS:
            if key_of(listing) in opened:
                await self._simulators.plant(Gap(feed=listing.feed, symbol=listing.symbol, count=2))
        self.report.counts["books that took something mutated"] = len(opened)

        def waiting() -> list[str]:
            books = self._seen.books
            return [key for key, before in opened.items() if books[key].opened == before or not books[key].live]

        await self._reached(lambda: not waiting(), HEALED, lambda: f"not live after a gap: {waiting()}")

    async def _reached(self, condition: Any, within: float, what: Any) -> None:
        def reached() -> bool:
            restarts = sum(status.restarts for status in self._pipeline.supervisor.statuses)
            assert restarts <= MOST_RESTARTS, "processes end again and again"
            return bool(condition())

        try:
            await self._seen.until(reached, "", within)
        except TimeoutError:
            self.report.problems.append(what())

    def _not_joined(self) -> list[str]:
        wanted = [(key_of(listing), origin) for listing in LISTINGS for origin in ("bbo", "book")]
        return [f"{key} {origin}" for key, origin in wanted if not self._seen.joined[key, origin]]

    # The account

    async def _account(self) -> None:
        accounts = Accounts(self._seen, self._mutations)
        accounts.check_lines()
        for topic, table in TABLES.items():
            rows = await self._pipeline.ask(f"SELECT source FROM {table}")
            accounts.check_stored(table, topic, [row["source"] for row in rows])
        for listing in LISTINGS:
            exchange = FEEDS[listing.feed].exchange
            rows = await self._pipeline.ask(
                "SELECT id, toUnixTimestamp64Micro(local_timestamp) AS at FROM trades "
                f"WHERE exchange = '{exchange}' AND symbol = '{listing.symbol}'"
            )
            true = self._simulators.true_trades(listing.feed, listing.symbol)
            accounts.check_trades(key_of(listing), true, rows)
        report = self.report
        report.counts |= accounts.counts
        report.counts["events"] = sum(map(len, self._seen.sources.values()))
        report.reasons, report.silent = dict(accounts.reasons), dict(accounts.silent)
        report.gaps = dict(
            Counter(
                body["cause"]
                for events in self._seen.events.values()
                for topic, body in events
                if topic == "market.gaps" and body["type"] == "opened"
            )
        )
        report.counts["names of no instrument"] = len(self._strangers())
        report.problems += accounts.described()

    def _strangers(self) -> set[str]:
        """The keys that mutated frames made up, each with a state of its own from then on."""
        listed = {key_of(listing) for listing in LISTINGS}
        keys = {line.key for line in self._seen.lines.values()} - listed
        return {key for key in keys if key.partition(":")[2] not in (EVERY, UNKNOWN)}

    def _look_at_processes(self) -> None:
        for status in self._pipeline.supervisor.statuses:
            self.report.restarts[status.name] = status.restarts
            if status.restarts:
                self.report.problems.append(f"{status.name} was restarted {status.restarts} times")
            if found := _tracebacks(status.child.log):
                self.report.problems += [f"{status.name} logged: {each}" for each in found]


def _tracebacks(log: Path) -> list[str]:
    """The tracebacks of a log, one of each error."""
    found = {trace.splitlines()[-1]: trace for trace in _TRACEBACK.findall(log.read_text(errors="replace"))}
    return [trace[-2000:] for trace in found.values()][:5]


async def settings_for(broker: Broker, folder: Path) -> Settings:
    """Settings with topics, a ClickHouse directory and ports of their own."""
    made = load_settings(
        kafka=broker.bootstrap,
        topic_prefix=f"t{uuid4().hex[:8]}.",
        partitions=2,
        clickhouse=f"chdb://{folder}/clickhouse",
        sql_address=f"127.0.0.1:{free_port()}",
    )
    await create_topics(made)
    return made
