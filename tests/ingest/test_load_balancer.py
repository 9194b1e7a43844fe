"""Which requests to move an instrument are carried out, one at a time, and what the others are answered."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from ingest import connection_pool
from ingest.connection_group import ConnectionGroup
from ingest.connection_pool import ConnectionPool
from ingest.load_balancer import LoadBalancer
from ingest.move import UNSTEADY
from schemas.connections import MoveAnswer
from schemas.control import MoveRequest
from schemas.instruments import Instrument, assumed_instrument

LOADS = {1: 9.0, 2: 5.0, 3: 1.0}  # frames/s, by the number of the connection


def instrument(base: str) -> Instrument:
    return assumed_instrument("binance-spot", "binance", f"{base}-USDT")


class FakeSupervisor:
    """Supervisor of a steady connection, to which A and B send ten times as much as the others. Only A has funding."""

    def __init__(self, path: str, instruments: dict[str, Instrument]) -> None:
        self.path = path
        self.instruments = instruments
        self.throughput = SimpleNamespace(frames=0.0)
        self.connection = SimpleNamespace(is_steady=True)
        self.removed: list[str] = []

    def add(self, symbols: Any) -> None:
        pass

    def remove(self, symbol: str) -> None:
        self.removed.append(symbol)

    def serves(self, symbols: Any) -> bool:
        return self.path != "/funding" or "AUSDT" in symbols

    def take_frames(self) -> list[tuple[str, float]]:
        return [(symbol, 10.0 if symbol < "C" else 1.0) for symbol in self.instruments]

    async def run(self) -> None:
        pass


class Rig:
    """Balancer of connections with two instruments each, which are named by their base."""

    def __init__(self, tasks: asyncio.TaskGroup, bases: str, interval_s: float = 60.0) -> None:
        log = structlog.get_logger()
        make: Any = FakeSupervisor
        self.pool = ConnectionPool(tasks, make, ["/ws"], "/ws", 2, log)
        self.pool.add(map(instrument, bases))
        for group in self.pool.groups:
            self.supervisor(group.number).throughput.frames = LOADS[group.number]
        self.balancer = LoadBalancer(self.pool, "binance", interval_s, log)
        self.running = tasks.create_task(self.balancer.run())

    def supervisor(self, number: int) -> FakeSupervisor:
        [group] = [group for group in self.pool.groups if group.number == number]
        return cast(FakeSupervisor, group.supervisors["/ws"])

    async def answers(self, *requests: tuple[str, int]) -> list[MoveAnswer]:
        """Request to move symbols to connections, and return the answers."""
        for number, (symbol, target) in enumerate(requests):
            request = MoveRequest(id=f"{number}", feed="binance-spot", symbol=symbol, target=target, timestamp=1)
            self.balancer.request(request)
        async with asyncio.timeout(5):
            while len(self.balancer.answers) < len(requests):
                await asyncio.sleep(0.01)
        self.running.cancel()
        return self.balancer.answers

    def places(self) -> list[str]:
        """Return the bases on each connection."""
        return ["".join(symbol[0] for symbol in group.instruments) for group in self.pool.groups]


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let moves take a moment and succeed. Return how many are under way as each begins."""
    found: list[int] = []
    now = 0

    async def move(symbols: Any, pairs: Any, reason: str) -> str:
        nonlocal now
        now += 1
        found.append(now)
        await asyncio.sleep(0.02)
        now -= 1
        return ""

    monkeypatch.setattr(connection_pool, "move", move)
    return found


async def test_many_answers(under_way: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many requests at a time is answered, for as long as anybody waits for it."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABCDE")
        answers = await rig.answers(*(("X-USDT", 0) for _ in range(40)))
        assert [answer.id for answer in answers] == [f"{number}" for number in range(40)]
        monkeypatch.setattr("ingest.load_balancer.ANSWER_WITHIN_S", 0.0)
        assert rig.balancer.answers == []


async def test_to_the_idlest(under_way: list[int]) -> None:
    """Without a target, it is the idlest connection that has a free place; the old one unsubscribes."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABCDE")
        [answer] = await rig.answers(("A-USDT", 0))
    assert answer == MoveAnswer(id="0", source=1, target=3)
    assert rig.places() == ["B", "CD", "EA"]
    assert rig.supervisor(1).removed == ["AUSDT"]
    assert rig.supervisor(3).removed == []
    assert rig.pool.group_of("binance:A-USDT") is rig.pool.groups[2]


async def test_to_a_connection(under_way: list[int]) -> None:
    """A given connection is used, however busy it is."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABCDE")
        answers = await rig.answers(("A-USDT", 3), ("C-USDT", 1))
    assert answers == [MoveAnswer(id="0", source=1, target=3), MoveAnswer(id="1", source=2, target=1)]
    assert rig.places() == ["BC", "D", "EA"]


async def test_the_last_instrument_of_a_connection(under_way: list[int]) -> None:
    """A connection that is left empty is closed, and its number is not used again."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABC")
        rig.pool.remove(instrument("A"))
        await rig.answers(("B-USDT", 0))
        rig.pool.add([instrument("D")])
    assert [group.number for group in rig.pool.groups] == [2, 3]
    assert rig.places() == ["CB", "D"]


@pytest.mark.parametrize(
    ("bases", "symbol", "target", "failure"),
    [
        ("ABC", "A-USDC", 0, "unknown symbol 'A-USDC': did you mean A-USDT?"),
        ("ABC", "ZEBRA-BTC-PERP", 0, "unknown symbol 'ZEBRA-BTC-PERP': no connection of the feed serves it"),
        ("AB", "A-USDT", 0, "the feed has no other connection"),
        ("ABC", "A-USDT", 1, "it is on connection 1 already"),
        ("ABCDE", "A-USDT", 7, "there is no connection 7: others are 2, 3"),
        ("ABCDE", "A-USDT", 2, "no free place on connection 2: one serves 2 instruments"),
        ("ABCD", "A-USDT", 0, "no free place on connection 2: one serves 2 instruments"),
    ],
)
async def test_refused(under_way: list[int], bases: str, symbol: str, target: int, failure: str) -> None:
    """What cannot be moved stays where it is, and the answer says why."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, bases)
        before = rig.places()
        [answer] = await rig.answers((symbol, target))
    assert answer == MoveAnswer(id="0", failure=failure)
    assert rig.places() == before
    assert under_way == []


async def test_not_steady() -> None:
    """Nothing moves to a connection that is not open, or is being replaced."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABC")
        rig.supervisor(2).connection.is_steady = False
        [answer] = await rig.answers(("A-USDT", 0))
    assert answer == MoveAnswer(id="0", failure=UNSTEADY, source=1, target=2)
    assert rig.places() == ["AB", "C"]


async def test_a_path_that_an_instrument_does_not_need() -> None:
    """A path counts only for instruments that have channels on it: a future moves to where no perpetual is."""
    make: Any = FakeSupervisor
    source, target = (ConnectionGroup(number, make, ["/ws", "/funding"]) for number in (1, 2))
    cast(Any, target.supervisors["/funding"]).connection = None
    connections = source.supervisors["/ws"].connection, target.supervisors["/ws"].connection
    assert source.pairs_with(target, ["BUSDT"]) == [connections]
    assert source.pairs_with(target, ["AUSDT", "BUSDT"]) == []


async def test_a_failed_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the new connection does not deliver, it unsubscribes, and the answer says why."""

    async def move(symbols: Any, pairs: Any, reason: str) -> str:
        return "not everything flows"

    monkeypatch.setattr(connection_pool, "move", move)
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABC")
        [answer] = await rig.answers(("A-USDT", 0))
    assert answer == MoveAnswer(id="0", failure="not everything flows", source=1, target=2)
    assert rig.places() == ["AB", "C"]
    assert rig.supervisor(2).removed == ["AUSDT"]
    assert rig.supervisor(1).removed == []


async def test_delisted_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instrument that is delisted while it moves is nowhere afterwards."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABC")

        async def move(symbols: Any, pairs: Any, reason: str) -> str:
            rig.pool.remove(rig.pool.groups[0].instruments["AUSDT"])
            return ""

        monkeypatch.setattr(connection_pool, "move", move)
        [answer] = await rig.answers(("A-USDT", 0))
    assert answer.failure == "it was delisted meanwhile"
    assert rig.places() == ["B", "C"]


async def test_one_at_a_time(under_way: list[int]) -> None:
    """Requests and a running balance wait for each other."""
    async with asyncio.TaskGroup() as tasks:
        rig = Rig(tasks, "ABCDE", interval_s=0.03)
        async with asyncio.timeout(5):
            while not under_way:
                await asyncio.sleep(0.005)
        requests = [("C-USDT", 0), ("D-USDT", 0), ("E-USDT", 0), ("A-USDT", 0)]
        answers = await rig.answers(*requests)
    assert len(answers) == len(requests)
    assert len(under_way) > 1
    assert set(under_way) == {1}
