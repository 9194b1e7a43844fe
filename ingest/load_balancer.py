"""Balance the load of a feed's connections, and move single instruments on request."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import structlog

from ingest.balance import Loads, balance
from ingest.connection_group import ConnectionGroup
from ingest.connection_pool import ConnectionPool
from schemas.connections import ANSWER_WITHIN_S, MoveAnswer
from schemas.control import MoveRequest
from schemas.errors import ControlError
from schemas.keys import key_of
from schemas.suggestions import unknown

_NAMED = 5  # instruments that are named in the log
_ANSWERS = 1000  # that are kept at most


class LoadBalancer:
    """Mover of a feed's instruments. A single task moves them all, so that no two moves are under way at a time."""

    def __init__(
        self, pool: ConnectionPool, exchange: str, interval_s: float, log: structlog.stdlib.BoundLogger
    ) -> None:
        """`interval_s`: for how long the load is measured before it is balanced."""
        self._answers: deque[tuple[float, MoveAnswer]] = deque(maxlen=_ANSWERS)
        self._pool = pool
        self._exchange = exchange
        self._interval_s = interval_s
        self._log = log
        self._requests: asyncio.Queue[MoveRequest] = asyncio.Queue()

    @property
    def answers(self) -> list[MoveAnswer]:
        """Answers to the last requests, for the reports."""
        return [answer for at, answer in self._answers if at > time.monotonic() - ANSWER_WITHIN_S]

    def request(self, request: MoveRequest) -> None:
        """Move an instrument as soon as no other is being moved."""
        self._requests.put_nowait(request)

    async def run(self) -> None:
        """Move instruments until cancelled: on request, and from busy connections to idle ones."""
        while True:
            self._pool.loads(1.0)  # what came before, and during moves, does not count
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._interval_s):
                    request = await self._requests.get()
            except TimeoutError:
                await self._balance(self._pool.loads(time.monotonic() - began))
            else:
                answer = await self._answer(request)
                self._answers.append((time.monotonic(), answer))

    async def _balance(self, loads: Sequence[Loads]) -> None:
        """Move instruments until all groups carry about the same. `loads`: what they carry now."""
        groups, places = list(self._pool.groups), balance(loads, self._pool.capacity)
        for number, source in enumerate(groups):
            for place in sorted({places[name] for name in loads[number].keys() & places.keys()}):
                names = [name for name in loads[number] if places.get(name) == place]
                failure = await self._pool.move(names, source, groups[place], "moved to an idler connection")
                self._report(names, source, groups[place], failure)
        self._pool.close_empty()

    async def _answer(self, request: MoveRequest) -> MoveAnswer:
        try:
            source, target = self._ends(request)
        except ControlError as error:
            self._log.warning("cannot move as requested", symbol=request.symbol, reason=str(error))
            return MoveAnswer(id=request.id, failure=str(error))
        key = self._key_of(request)
        names = [name for name, instrument in source.instruments.items() if instrument.key == key]
        failure = await self._pool.move(names, source, target, "requested by the operator")
        self._report(names, source, target, failure)
        self._pool.close_empty()
        if not failure and self._pool.group_of(key) is not target:
            failure = "it was delisted meanwhile"
        return MoveAnswer(id=request.id, failure=failure, source=source.number, target=target.number)

    def _ends(self, request: MoveRequest) -> tuple[ConnectionGroup, ConnectionGroup]:
        """Return from where to where an instrument is to be moved. Raise `ControlError` if it cannot be."""
        source = self._pool.group_of(self._key_of(request))
        if source is None:
            known = [instrument.symbol for group in self._pool.groups for instrument in group.instruments.values()]
            raise ControlError(unknown("symbol", request.symbol, known, "no connection of the feed serves it"))
        others = {group.number: group for group in self._pool.groups if group is not source}
        if not others:
            raise ControlError("the feed has no other connection")
        if request.target == source.number:
            raise ControlError(f"it is on connection {source.number} already")
        if request.target and request.target not in others:
            raise ControlError(f"there is no connection {request.target}: others are {', '.join(map(str, others))}")
        asked = [others[request.target]] if request.target else list(others.values())
        if free := [group for group in asked if self._pool.has_place(group)]:
            return source, min(free, key=lambda group: group.frames)
        numbers = ", ".join(str(group.number) for group in asked)
        raise ControlError(f"no free place on connection {numbers}: one serves {self._pool.capacity} instruments")

    def _key_of(self, request: MoveRequest) -> str:
        return key_of(self._exchange, request.symbol)

    def _report(self, names: Sequence[str], source: ConnectionGroup, target: ConnectionGroup, failure: str) -> None:
        about = {"symbols": names[:_NAMED], "instruments": len(names), "source": source.number, "target": target.number}
        if failure:
            self._log.warning("not moved", reason=failure, **about)
        else:
            self._log.info("moved to another connection", **about)
