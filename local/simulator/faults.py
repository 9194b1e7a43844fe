"""Faults on command, and the ground truth: what was planted, when it took effect, and what exactly it did.

Faults of the book stream are armed when planted and take effect on the next book frames that somebody is sent.
"""

import asyncio
import base64
import copy
import time
from collections.abc import Iterator
from itertools import count
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import structlog
from aiohttp import WSMsgType
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter

_log = structlog.get_logger(__name__)

HUGE = 10_000_000  # bytes
INVALID_UTF8 = b'{"e":"\xff\xfe\x80"}'

Form = Literal[
    "truncated", "wrong_types", "nan", "negative", "empty_arrays", "unknown_channel", "huge", "invalid_utf8", "given"
]
_IN_PLACE = frozenset({"truncated", "wrong_types", "nan", "negative", "empty_arrays"})


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _BookFault(_Plan):
    feed: str
    symbol: str


class Gap(_BookFault):
    """The next `count` book updates are dropped."""

    kind: Literal["gap"] = "gap"
    count: Annotated[int, Field(ge=1)] = 1


class Duplicate(_BookFault):
    """The next book update is sent twice."""

    kind: Literal["duplicate"] = "duplicate"


class Reorder(_BookFault):
    """The next two book updates change places."""

    kind: Literal["reorder"] = "reorder"


class Malformed(_BookFault):
    """`truncated`, `wrong_types`, `nan`, `negative`, `empty_arrays` ruin the next book update; others follow it.

    `given` sends `frame`, or the bytes of `frame_base64`: as a text frame where they are UTF-8, else as a binary one.
    `invalid_utf8` is sent as a text frame all the same; a client must close on it (RFC 6455).
    """

    kind: Literal["malformed"] = "malformed"
    form: Form
    frame: str = ""
    frame_base64: str = ""


class Disconnect(_Plan):
    """All connections (that carry the symbol, if one is named) are closed, with a close frame or without."""

    kind: Literal["disconnect"] = "disconnect"
    feed: str
    symbol: str = ""
    close_frame: bool = True
    code: Annotated[int, Field(ge=1000, le=4999)] = 1001


class Shutdown(_Plan):
    """The exchange announces that it will close its connections, and does after so many seconds."""

    kind: Literal["shutdown"] = "shutdown"
    feed: str
    seconds: Annotated[float, Field(ge=0)] = 1.0


class Stall(_Plan):
    """Sockets stay open, nothing is sent for so many seconds; what would have been is lost."""

    kind: Literal["stall"] = "stall"
    feed: str
    symbol: str = ""
    seconds: Annotated[float, Field(gt=0)]


class Arbitrage(_Plan):
    """One exchange's book is moved until the gross spread to another's is `bps`, and back after so many seconds.

    It starts a moment after it was planted, see `arbitrage.SETTLE`. `buy` and `sell` are feeds. Fees in basis points;
    the settings' taker fees where none are given.
    """

    kind: Literal["arbitrage"] = "arbitrage"
    symbol: str
    buy: str
    sell: str
    bps: Annotated[float, Field(gt=0, le=500)]
    seconds: Annotated[float, Field(gt=0)]
    buy_fee_bps: float | None = None
    sell_fee_bps: float | None = None


BookFault = Gap | Duplicate | Reorder | Malformed
Plan = BookFault | Disconnect | Shutdown | Stall | Arbitrage
PLANS: TypeAdapter[Plan] = TypeAdapter(Annotated[Plan, Field(discriminator="kind")])


class Planted(BaseModel):
    """One entry of the ground truth. Times in ns since the epoch, 0: not yet. `result`: what it did, exactly."""

    id: int
    plan: Annotated[Plan, Field(discriminator="kind")]
    planted_at: int
    started_at: int = 0
    ended_at: int = 0
    result: dict[str, Any] = Field(default_factory=dict)
    _over: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    def start(self) -> None:
        self.started_at = self.started_at or time.time_ns()
        self._tell("fault started")

    def end(self) -> None:
        self.started_at = self.started_at or time.time_ns()
        self.ended_at = time.time_ns()
        self._over.set()
        self._tell("fault ended")

    async def over(self, timeout: float = 10.0) -> "Planted":
        """Wait until it is over; `TimeoutError` if it is not in time."""
        async with asyncio.timeout(timeout):
            await self._over.wait()
        return self

    def _tell(self, what: str) -> None:
        plan = self.plan.model_dump(exclude={"frame", "frame_base64"})
        _log.info(what, id=self.id, at=self.ended_at or self.started_at, **plan, result=self.result)


class GroundTruth:
    """Everything that was planted, in order."""

    def __init__(self) -> None:
        self.planted: list[Planted] = []
        self._ids = count(1)

    def add(self, plan: Plan) -> Planted:
        self.planted.append(Planted(id=next(self._ids), plan=plan, planted_at=time.time_ns()))
        return self.planted[-1]


class Outgoing(NamedTuple):
    """A payload to be sent, or (`raw`) bytes to be sent as they are; `cut`: only the first half of the frame."""

    payload: dict[str, Any]
    cut: bool = False
    raw: bytes | None = None
    opcode: WSMsgType = WSMsgType.TEXT


class Dialect(Protocol):
    """What a fault needs to know of an exchange's book frames."""

    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]: ...

    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]: ...

    def empty(self, payload: dict[str, Any]) -> None: ...

    def unknown(self, symbol: str) -> dict[str, Any]: ...


class BookFaults:
    """The armed faults of one feed's books; each symbol's take effect one after the other."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._armed: dict[str, list[Planted]] = {}
        self._channel: dict[int, str] = {}  # by id of the fault: the stream it has bound itself to
        self._kept: dict[int, dict[str, Any]] = {}

    def arm(self, planted: Planted, symbol: str) -> None:
        self._armed.setdefault(symbol, []).append(planted)

    def apply(self, channel: str, symbol: str, payload: dict[str, Any]) -> list[Outgoing]:
        """What goes out in place of this book update of a stream."""
        armed = self._armed.get(symbol)
        if not armed or self._channel.setdefault(armed[0].id, channel) != channel:
            return [Outgoing(payload)]
        planted = armed[0]
        if not planted.started_at:
            planted.start()
        sent = list(self._take(planted, symbol, payload))
        if planted.ended_at:
            armed.pop(0)
        return sent

    def _take(self, planted: Planted, symbol: str, payload: dict[str, Any]) -> Iterator[Outgoing]:
        ids = planted.result.setdefault("frames", [])
        ids.append(self._dialect.frame_ids(payload))
        plan = planted.plan
        if isinstance(plan, Gap):
            if len(ids) == plan.count:
                planted.end()
        elif isinstance(plan, Reorder) and len(ids) == 1:
            self._kept[planted.id] = payload
        elif isinstance(plan, Malformed):
            yield from self._malformed(plan, symbol, payload)
            planted.result["replaced"] = plan.form in _IN_PLACE
            planted.end()
        else:
            yield Outgoing(payload)
            yield Outgoing(self._kept.pop(planted.id, payload))  # its own repetition, or the one that was kept back
            planted.end()

    def _malformed(self, plan: Malformed, symbol: str, payload: dict[str, Any]) -> Iterator[Outgoing]:
        if plan.form in _IN_PLACE:
            yield self._ruined(plan.form, copy.deepcopy(payload))
            return
        yield Outgoing(payload)
        if plan.form == "unknown_channel":
            yield Outgoing(self._dialect.unknown(symbol))
        elif plan.form == "huge":
            yield Outgoing(self._dialect.unknown(symbol) | {"padding": "x" * HUGE})
        elif plan.form == "invalid_utf8":
            yield Outgoing({}, raw=INVALID_UTF8)
        else:
            yield _given(plan)

    def _ruined(self, form: Form, payload: dict[str, Any]) -> Outgoing:
        for side in self._dialect.sides(payload):
            price = side[0][0] if side else "1"
            if form == "wrong_types":
                side[:] = [[{"price": price}, None], 17]
            elif form == "nan":
                side.insert(0, [price, "NaN", "0", "1"])
            elif form == "negative":
                side.insert(0, [price, "-1.5", "0", "1"])
        if form == "empty_arrays":
            self._dialect.empty(payload)
        return Outgoing(payload, cut=form == "truncated")


def _given(plan: Malformed) -> Outgoing:
    data = base64.b64decode(plan.frame_base64) if plan.frame_base64 else plan.frame.encode()
    try:
        data.decode()
    except UnicodeDecodeError:
        return Outgoing({}, raw=data, opcode=WSMsgType.BINARY)
    return Outgoing({}, raw=data)
