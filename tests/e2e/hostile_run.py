"""One hostile run: mutate the messages of one seed on a pipeline of real processes, and report the results."""

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
from marketprism.simulator.market.listings import LISTINGS, OPTIONS
from schemas.errors import MarketPrismError
from schemas.events import TABLES
from schemas.feeds import FEEDS
from schemas.keys import EVERY, UNKNOWN, split_key
from schemas.settings import Settings, load_settings
from schemas.symbols import is_currency
from tests.e2e.accounting import Accounts
from tests.e2e.everything import EVERYTHING
from tests.e2e.follower import Follower, key_of
from tests.e2e.pipeline import Pipeline

RATE = 1.5  # of the simulated markets: about 900 messages a second
MUTATED, MUTATED_RARE = 0.01, 0.05  # shares of the data, and of rare messages
START_TIMEOUT, LIVE_TIMEOUT, TRUE_TIMEOUT = 60.0, 75.0, 20.0  # s until books are first live, live again, and true
REFRESH_S = 5.0  # so that listings are mutated too
MAX_RESTARTS = 3  # after which the run is given up
DISTURB_EVERY = 8.0  # s between two moves or losses of connections

_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*\S.*")


@dataclass
class Report:
    """Results of one seed. Without `problems` it has passed."""

    seed: int
    seconds: float
    messages: int = 0
    mutated: dict[str, int] = field(default_factory=dict)
    damages: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    without_event: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class HostileRun:
    """Run of one seed on one pipeline of real processes."""

    def __init__(self, settings: Settings, seed: int, seconds: float, logs: Path) -> None:
        self.report = Report(seed, seconds)
        self._base = settings
        self._logs = logs
        self._random = Random(f"hostile:{seed}")
        self._mutations: list[dict[str, Any]] = []

    async def run(self) -> Report:
        """Run everything. An error that ends the run early is a problem of the report."""
        limits = Limits(ping_interval=3.0)  # often, as pings are mutated too
        async with Simulators(seed=self.report.seed, rate=RATE, limits=limits) as self._simulators:
            settings = self._settings()
            async with Pipeline(settings, self._logs) as self._pipeline, Follower(settings) as self._follower:
                try:
                    await self._run_phases()
                except (AssertionError, TimeoutError, MarketPrismError) as error:
                    self.report.problems.append(f"the run ended early: {error!r}")
                self._check_processes()
        return self.report

    async def _run_phases(self) -> None:
        await self._pipeline.sink()
        await self._pipeline.worker()
        await self._pipeline.ingest()
        await self._follower.until(self._follower.all_live, "every book is live", START_TIMEOUT)
        await self._mutate()
        await self._recover()
        await self._pipeline.supervisor.retire("ingest")
        await self._pipeline.wait_until_stored()
        await self._follower.catch_up()
        await self._account()

    def _settings(self) -> Settings:
        own = EVERYTHING | {
            "endpoints": self._simulators.endpoints,
            "channel_timeout_s": {"trades": 8, "books": 3, "quotes": 3},
            "instruments_refresh_s": REFRESH_S,
        }
        return load_settings(**self._base.model_dump() | own)

    # The run

    async def _mutate(self) -> None:
        """Mutate messages. Meanwhile connections move or are lost and books have gaps, which leads to snapshots."""
        seed, seconds = self.report.seed, self.report.seconds
        planted = [
            await self._simulators.plant(
                Mutate(feed=feed, seed=seed, rate=MUTATED, rare_rate=MUTATED_RARE, seconds=seconds)
            )
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
        due, moves = DISTURB_EVERY / 2, True
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
                due, moves = DISTURB_EVERY, not moves

    async def _recover(self) -> None:
        """Check that, without further mutations, every book becomes live and true, and quotes reach the join."""
        began = time.monotonic()
        await self._reached(
            self._follower.all_live, LIVE_TIMEOUT, lambda: f"not live again: {self._follower.not_live()}"
        )
        self.report.took["live"] = round(time.monotonic() - began, 1)
        await self._resynchronise()
        began = time.monotonic()
        self._simulators.pause()
        await asyncio.sleep(1.5)
        await self._reached(
            lambda: not self._follower.differences(self._simulators), TRUE_TIMEOUT,
            lambda: f"books are not true: {self._follower.differences(self._simulators)}",
        )  # fmt: skip
        self._simulators.resume()
        self.report.took["equal"] = round(time.monotonic() - began, 1)
        self._follower.joined.clear()
        # The pause looked like silence, so that some books are being subscribed anew.
        within = LIVE_TIMEOUT
        await self._reached(lambda: not self._not_joined(), within, lambda: f"not in the join: {self._not_joined()}")

    async def _resynchronise(self) -> None:
        """Give a gap, and so a new snapshot, to books that applied a mutated message.

        Until then, a wrong amount deep in a book cannot be distinguished from a correct one. A late worker may not
        have applied all mutated messages yet, and a book that already waits for a snapshot opens no second gap.
        """
        await self._pipeline.wait_until_passed()
        await self._follower.catch_up()
        digests = {sent["sha256"] for each in self._mutations for sent in each["sent"]}
        affected = Accounts(self._follower, self._mutations).books_that_applied(digests)
        books = self._follower.books
        snapshots = {key: books[key].snapshots for key in affected if key in books}
        for listing in (*LISTINGS, *OPTIONS):
            if key_of(listing) in snapshots:
                await self._simulators.plant(Gap(feed=listing.feed, symbol=listing.symbol, count=2))
        self.report.counts["books that applied a mutation"] = len(snapshots)

        def waiting() -> list[str]:
            return [key for key, before in snapshots.items() if books[key].snapshots == before or not books[key].live]

        await self._reached(lambda: not waiting(), LIVE_TIMEOUT, lambda: f"not live after a gap: {waiting()}")

    async def _reached(self, condition: Any, within: float, what: Any) -> None:
        def reached() -> bool:
            restarts = sum(status.restarts for status in self._pipeline.supervisor.statuses)
            assert restarts <= MAX_RESTARTS, "processes keep crashing"
            return bool(condition())

        try:
            await self._follower.until(reached, "", within)
        except TimeoutError:
            self.report.problems.append(what())

    def _not_joined(self) -> list[str]:
        wanted = [(key_of(listing), origin) for listing in LISTINGS for origin in ("bbo", "book")]
        return [f"{key} {origin}" for key, origin in wanted if not self._follower.joined[key, origin]]

    # The account

    async def _account(self) -> None:
        accounts = Accounts(self._follower, self._mutations)
        accounts.check_lines()
        for topic, table in TABLES.items():
            rows = await self._pipeline.query(f"SELECT source FROM {table}")
            accounts.check_stored(table, topic, [row["source"] for row in rows])
        for listing in LISTINGS:
            exchange = FEEDS[listing.feed].exchange
            rows = await self._pipeline.query(
                "SELECT id, toUnixTimestamp64Micro(local_timestamp) AS at FROM trades "
                f"WHERE exchange = '{exchange}' AND symbol = '{listing.symbol}'"
            )
            true = self._simulators.true_trades(listing.feed, listing.symbol)
            accounts.check_trades(key_of(listing), true, rows)
        report = self.report
        report.counts |= accounts.counts
        report.counts["events"] = sum(map(len, self._follower.sources.values()))
        report.reasons, report.without_event = dict(accounts.reasons), dict(accounts.without_event)
        report.gaps = dict(
            Counter(
                body["cause"]
                for events in self._follower.events.values()
                for topic, body in events
                if topic == "market.gaps" and body["type"] == "opened"
            )
        )
        report.counts["invented instruments"] = len(self._invented_keys())
        report.problems += accounts.described()

    def _invented_keys(self) -> set[str]:
        """Return the keys that only mutated frames have, each with a processor of its own."""
        listed = {key_of(listing) for listing in (*LISTINGS, *OPTIONS)}
        keys = {line.key for line in self._follower.lines.values()} - listed
        symbols = {key: split_key(key)[1] for key in keys}
        return {key for key, symbol in symbols.items() if symbol not in (EVERY, UNKNOWN) and not is_currency(symbol)}

    def _check_processes(self) -> None:
        for status in self._pipeline.supervisor.statuses:
            self.report.restarts[status.name] = status.restarts
            if status.restarts:
                self.report.problems.append(f"{status.name} was restarted {status.restarts} times")
            if found := _tracebacks(status.child.log):
                self.report.problems += [f"{status.name} logged: {each}" for each in found]


def _tracebacks(log: Path) -> list[str]:
    """Return the tracebacks of a log, one per error."""
    found = {trace.splitlines()[-1]: trace for trace in _TRACEBACK.findall(log.read_text(errors="replace"))}
    return [trace[-2000:] for trace in found.values()][:5]


async def settings_for(broker: Broker, folder: Path) -> Settings:
    """Return settings with topics, a ClickHouse directory and ports of their own."""
    made = load_settings(
        kafka=broker.bootstrap,
        topic_prefix=f"t{uuid4().hex[:8]}.",
        partitions=2,
        clickhouse=f"chdb://{folder}/clickhouse",
        sql_address=f"127.0.0.1:{free_port()}",
    )
    await create_topics(made)
    return made
