"""One soak: random faults of sockets, hosts and proxies for a long time, on a pipeline of real processes."""

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil

from marketprism.simulator import (
    Disconnect,
    Heartbeat,
    Limits,
    Maintenance,
    Mute,
    RateLimit,
    Shutdown,
    Simulators,
    Stall,
)
from marketprism.simulator.market.listings import LISTINGS, Listing
from marketprism.simulator.plans import Plan
from schemas.feeds import FEEDS
from schemas.settings import Settings, load_settings
from tests.e2e.follower import key_of
from tests.e2e.pipeline import Pipeline
from tests.ingest.rigs import PASSWORD, HostRig, ProxyRig

RATE = 0.5  # of the simulated markets
_PAUSES = (4.0, 15.0)  # s between two faults
_OUTAGES = (2.0, 20.0)  # s for which a host or a proxy is blocked
_SAMPLE_EVERY = 5.0  # s
_RECOVERS_WITHIN = 120.0  # s after the last fault
_GROWTH = 1.15  # of memory and descriptors, from the second third of the run to the last
_SPARE = 8  # descriptors
_WARM_AFTER_S = 600.0  # a shorter run tells nothing of growth
_SOON = 1_000_000  # µs by which the last trade before a loss may have been received after what reports it

# By exchange, the proxies in the order of preference. All other exchanges are reached directly, then by a proxy.
_PROXIES = {"binance": ("http", "socks"), "okx": ("socks", "spare"), "htx": ("spare", "http"), "*": ("direct", "socks")}


Span = tuple[int, int]  # µs since the epoch


class Sample(NamedTuple):
    """Memory and descriptors of a process at a time."""

    process: str
    megabytes: float
    descriptors: int


@dataclass
class SoakReport:
    """Results. Without `problems` it has passed."""

    seed: int
    seconds: float
    faults: dict[str, int] = field(default_factory=dict)
    trades: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    host_changes: int = 0
    recovered_s: float = 0.0
    processes: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class SoakRun:
    """Run of one seed. Every feed has two hosts, and every exchange two ways to them."""

    def __init__(self, settings: Settings, seed: int, seconds: float, logs: Path) -> None:
        self.report = SoakReport(seed, seconds)
        self._base = settings
        self._logs = logs
        self._random = Random(f"soak:{seed}")
        self._hosts: dict[str, list[HostRig]] = {}
        self._proxies = {"http": ProxyRig("http"), "socks": ProxyRig("socks5"), "spare": ProxyRig("http")}
        self._samples: list[Sample] = []

    async def run(self) -> SoakReport:
        """Run everything."""
        async with AsyncExitStack() as stack:
            limits = Limits(ping_interval=10.0)
            self._simulators = await stack.enter_async_context(
                Simulators(seed=self.report.seed, rate=RATE, limits=limits)
            )
            for feed, addresses in self._simulators.endpoints.items():
                port = urlsplit(addresses["rest"]).port or 0
                self._hosts[feed] = [await stack.enter_async_context(HostRig(port)) for _ in range(2)]
            for proxy in self._proxies.values():
                await stack.enter_async_context(proxy)
            self._pipeline = await stack.enter_async_context(Pipeline(self._settings(), self._logs))
            await self._pipeline.sink()
            await self._pipeline.worker()
            await self._pipeline.ingest()
            await self._reached(self._is_whole, "every book is live")
            await asyncio.gather(self._disturb(), self._sample())
            began = time.monotonic()
            await self._reached(self._is_whole, "every gap is closed")
            self.report.recovered_s = round(time.monotonic() - began, 1)
            self._check_passwords()
            await self._pipeline.supervisor.retire("ingest")
            await self._pipeline.wait_until_stored()
            await self._account()
        self._check_processes()
        return self.report

    def _settings(self) -> Settings:
        hosts = {
            feed: {
                "ws": [f"ws://127.0.0.1:{rig.port}" for rig in rigs],
                "rest": [f"http://127.0.0.1:{rig.port}" for rig in rigs],
            }
            for feed, rigs in self._hosts.items()
        }
        proxies = {
            exchange: [name if name == "direct" else self._proxies[name].url() for name in names]
            for exchange, names in _PROXIES.items()
        }
        own = {"endpoints": hosts, "proxies": proxies, "symbols": sorted({each.symbol for each in LISTINGS})}
        return load_settings(**self._base.model_dump() | own)

    # Faults

    async def _disturb(self) -> None:
        """Cause faults, which may overlap, until the time is over. Then wait for the end of those that last."""
        until = time.monotonic() + self.report.seconds
        async with asyncio.TaskGroup() as lasting:
            while time.monotonic() < until:
                kind = self._random.choice(("proxy", "host", "sockets", "sockets"))
                match kind:
                    case "proxy":
                        name, proxy = self._random.choice([*self._proxies.items()])
                        lasting.create_task(self._block(f"proxy {name}", proxy.kill, proxy.start))
                    case "host":
                        host = self._random.choice(self._hosts[self._random.choice([*FEEDS])])
                        name, block = self._random.choice((("refused", host.refuse), ("silent", host.swallow)))
                        lasting.create_task(self._block(f"host {name}", block, host.allow))
                    case _:
                        plan = self._plan(self._random.choice([*FEEDS]))
                        self._count(plan.kind)
                        await self._simulators.plant(plan)
                await asyncio.sleep(self._random.uniform(*_PAUSES))

    async def _block(self, name: str, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]) -> None:
        self._count(name)
        await begin()
        await asyncio.sleep(self._random.uniform(*_OUTAGES))
        await end()

    def _plan(self, feed: str) -> Plan:
        plans: list[Plan] = [
            Disconnect(feed=feed, close_frame=self._random.random() < 0.5),
            Heartbeat(feed=feed),
            Mute(feed=feed),
            Shutdown(feed=feed),
            Maintenance(feed=feed, seconds=self._random.uniform(2, 8)),
            Stall(feed=feed, seconds=self._random.uniform(1, 5)),
            RateLimit(feed=feed, count=2),
        ]
        return self._random.choice(plans)

    def _count(self, name: str) -> None:
        self.report.faults[name] = self.report.faults.get(name, 0) + 1

    # Health

    async def _is_whole(self) -> bool:
        """Whether every book is live and no gap is open but of numbered trades, which only a backfill would close."""
        [row] = await self._pipeline.query(
            "SELECT (SELECT uniqExact(exchange, symbol) FROM books WHERE type = 'snapshot') AS books, "
            "(SELECT count() FROM (SELECT id FROM gaps WHERE first_missing = '' GROUP BY id "
            "HAVING countIf(type = 'closed') < countIf(type = 'opened'))) AS open"
        )
        return int(row["books"]) >= len(LISTINGS) and not int(row["open"])

    async def _reached(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + _RECOVERS_WITHIN
        while not await condition():
            if time.monotonic() > deadline:
                self.report.problems.append(f"not reached within {_RECOVERS_WITHIN:.0f} s: {what}")
                return
            await asyncio.sleep(1)

    async def _sample(self) -> None:
        until = time.monotonic() + self.report.seconds
        while time.monotonic() < until:
            for status in self._pipeline.supervisor.statuses:
                if status.child.pid is not None and status.child.alive():
                    process = psutil.Process(status.child.pid)
                    self._samples.append(Sample(status.name, process.memory_info().rss / 1e6, process.num_fds()))
            await asyncio.sleep(_SAMPLE_EVERY)

    def _check_processes(self) -> None:
        """Check that nothing crashed, and that memory and descriptors did not grow after the first third."""
        for status in self._pipeline.supervisor.statuses:
            if status.restarts:
                self.report.problems.append(f"{status.name} was restarted {status.restarts} times")
        for name in sorted({sample.process for sample in self._samples}):
            found = [sample for sample in self._samples if sample.process == name]
            third = len(found) // 3
            thirds = [found[:third], found[third : 2 * third], found[2 * third :]]
            memory = [round(median(each.megabytes for each in part), 1) for part in thirds]
            descriptors = [median(each.descriptors for each in part) for part in thirds]
            self.report.processes[name] = {"MB": memory, "descriptors": descriptors}
            grew = memory[2] > _GROWTH * memory[1] or descriptors[2] > _GROWTH * descriptors[1] + _SPARE
            if grew and self.report.seconds >= _WARM_AFTER_S:
                self.report.problems.append(f"{name} grew: {memory} MB, {descriptors} descriptors")

    def _check_passwords(self) -> None:
        """Check that no log and no command line has the proxies' password."""
        secrets = (PASSWORD, self._proxies["http"].url().partition("prism:")[2].partition("@")[0])
        texts = {path.name: path.read_text(errors="replace") for path in self._logs.glob("*.log")}
        for process in psutil.process_iter(["cmdline"]):
            texts[f"process {process.pid}"] = " ".join(process.info["cmdline"] or [])
        self.report.problems += [
            f"{name} shows a password" for name, text in texts.items() if any(secret in text for secret in secrets)
        ]

    # The account

    async def _account(self) -> None:
        """Check that every true trade is stored once, or lost for a known reason."""
        query = self._pipeline.query
        counts: Counter[str] = Counter()
        for listing in LISTINGS:
            where = f"exchange = '{FEEDS[listing.feed].exchange}' AND symbol = '{listing.symbol}'"
            rows = await query(f"SELECT id, toUnixTimestamp64Micro(local_timestamp) AS at FROM trades WHERE {where}")
            gaps = await query(
                "SELECT id, minIf(toUnixTimestamp64Micro(since), type = 'opened') AS begin, "
                "max(toUnixTimestamp64Micro(local_timestamp)) AS end "
                f"FROM gaps WHERE {where} AND channel = 'trades' GROUP BY id"
            )
            losses = {
                "lost, and reported": [(int(gap["begin"]) - _SOON, int(gap["end"]) + _SOON) for gap in gaps],
                "lost in a stall, which HTX's ids cannot show": self._unseen_stalls(listing.feed),
            }
            counts += self._lost_trades(listing, rows, losses)
        self.report.trades = dict(counts)
        for row in await query("SELECT cause, count() AS n FROM gaps WHERE type = 'opened' GROUP BY cause"):
            self.report.gaps[row["cause"]] = int(row["n"])
        [row] = await query("SELECT count() AS n FROM status WHERE type = 'host_changed'")
        self.report.host_changes = int(row["n"])

    def _unseen_stalls(self, feed: str) -> list[Span]:
        """Return when the exchange sent nothing for moments, if nothing can show that: HTX's ids have holes anyway."""
        return [
            (each.started_at // 1000, each.ended_at // 1000)
            for each in self._simulators.planted
            if isinstance(each.plan, Stall) and each.plan.feed == feed and FEEDS[feed].exchange == "htx"
        ]

    def _lost_trades(self, listing: Listing, rows: list[dict[str, Any]], losses: dict[str, list[Span]]) -> Counter[str]:
        """Return the numbers of stored trades, and of lost ones by the reason. One without a reason is a problem."""
        key, true = key_of(listing), self._simulators.true_trades(listing.feed, listing.symbol)
        stored = {int(row["id"].rpartition("-")[2]): int(row["at"]) for row in rows}
        if len(stored) != len(rows) or not stored or not all(number in true for number in stored):
            self.report.problems.append(f"{key}: {len(rows)} trades, {len(stored)} ids")
            return Counter()
        known = sorted(stored)
        counts = Counter({"stored": len(known)})
        for number in range(known[0], known[-1] + 1):
            if number in stored:
                continue
            place = bisect_left(known, number)
            before, after = stored[known[place - 1]], stored[known[place]]
            reasons = [name for name, spans in losses.items() if any(a <= after and before <= b for a, b in spans)]
            counts[reasons[0] if reasons else "lost without a report"] += 1
            if not reasons:
                self.report.problems.append(f"{key}: trade {number} is lost")
        return counts
