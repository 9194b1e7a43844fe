"""Faults on command, and the ground truth: what was planted, when it took effect, and what exactly it did.

`book_faults`, `subscription_faults`, `connection_faults`, `rate_limits`, `timed_faults` and `mutation_faults` carry
them out. Those that wait for something (a book update, a subscription, a request) are armed when planted and start when
it comes.
"""

import asyncio
import time
from itertools import count
from typing import Annotated, Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter

from marketprism.simulator.server.connection import Channel

_log = structlog.get_logger(__name__)

Form = Literal[
    "truncated", "wrong_types", "nan", "negative", "empty_arrays", "unknown_channel", "huge", "invalid_utf8", "given"
]


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _InstrumentFault(_Plan):
    feed: str
    symbol: str


class Gap(_InstrumentFault):
    """The next `count` book updates are dropped."""

    kind: Literal["gap"] = "gap"
    count: Annotated[int, Field(ge=1)] = 1


class Duplicate(_InstrumentFault):
    """The next book update is sent twice."""

    kind: Literal["duplicate"] = "duplicate"


class Reorder(_InstrumentFault):
    """The next two book updates change places."""

    kind: Literal["reorder"] = "reorder"


class Malformed(_InstrumentFault):
    """`truncated`, `wrong_types`, `nan`, `negative`, `empty_arrays` ruin the next book update; others follow it.

    `given` sends `frame`, or the bytes of `frame_base64`: as a text frame where they are UTF-8, else as a binary one.
    `invalid_utf8` is sent as a text frame all the same; a client must close on it (RFC 6455).
    """

    kind: Literal["malformed"] = "malformed"
    form: Form
    frame: str = ""
    frame_base64: str = ""


class Crossed(_InstrumentFault):
    """The next book update carries a bid above the best ask, which the true book does not have."""

    kind: Literal["crossed"] = "crossed"


class Restart(_InstrumentFault):
    """The book's ids start over from a small number, in streams, snapshots and REST alike.

    The chain breaks. Where a reset is documented (OKX: `seqId` < `prevSeqId`, chain intact), it does only if `hard`.
    """

    kind: Literal["restart"] = "restart"
    hard: bool = False


class Silent(_InstrumentFault):
    """Acknowledged, but nothing comes any more on a channel, on the connections that have it.

    Until the client subscribes to it again, or (`reconnect`) only on a new connection. Where no connection has it, the
    first one that subscribes to it is taken.
    """

    kind: Literal["silent"] = "silent"
    channel: Channel
    until: Literal["resubscribe", "reconnect"] = "resubscribe"


class Refuse(_InstrumentFault):
    """The next `count` requests to subscribe to a channel are refused with the exchange's own error."""

    kind: Literal["refuse"] = "refuse"
    channel: Channel
    count: Annotated[int, Field(ge=1)] = 1


class Definition(_InstrumentFault):
    """What the exchange lists of an instrument changes, and it says so where it announces such things.

    `gone`: it is listed no more, can be subscribed no more, and nothing comes of it. `closed`, `halted`: told by its
    state. `resized`: another contract size; `unsized`: none yet, as before an opening; both in the listing only.
    `odd`: an entry that nobody can use. `back`: as it was.
    """

    kind: Literal["definition"] = "definition"
    change: Literal["gone", "closed", "halted", "resized", "unsized", "odd", "back"]


class RateLimit(_Plan):
    """Requests are answered as if there had been too many: the next `count`, or all for so many seconds.

    `rest`: with the HTTP status (418 is Binance's alone, whose body names the end) and how long to wait. `ws`: requests
    to subscribe.
    """

    kind: Literal["rate_limit"] = "rate_limit"
    feed: str
    where: Literal["rest", "ws"] = "rest"
    status: Literal[429, 418] = 429
    count: Annotated[int, Field(ge=1)] = 1
    seconds: Annotated[float, Field(gt=0)] | None = None


class _ConnectionFault(_Plan):
    """Strikes all connections, or those that carry the symbol, if one is named."""

    feed: str
    symbol: str = ""


class Disconnect(_ConnectionFault):
    """Connections are closed, with a close frame or without."""

    kind: Literal["disconnect"] = "disconnect"
    close_frame: bool = True
    code: Annotated[int, Field(ge=1000, le=4999)] = 1001


class Heartbeat(_ConnectionFault):
    """The exchange takes its heartbeat as unanswered, and closes connections as it then does."""

    kind: Literal["heartbeat"] = "heartbeat"


class Mute(_ConnectionFault):
    """The connections of now stay open, and nothing at all is sent or answered on them any more; new ones work."""

    kind: Literal["mute"] = "mute"


class Shutdown(_ConnectionFault):
    """The exchange announces that it will close connections, and does after so many seconds."""

    kind: Literal["shutdown"] = "shutdown"
    seconds: Annotated[float, Field(ge=0)] = 1.0


class Maintenance(_Plan):
    """Announced; then all connections are closed, and new ones refused (HTTP 503) for so many seconds."""

    kind: Literal["maintenance"] = "maintenance"
    feed: str
    seconds: Annotated[float, Field(gt=0)]


class Stall(_Plan):
    """Sockets stay open, no data are sent for so many seconds; what would have been is lost."""

    kind: Literal["stall"] = "stall"
    feed: str
    symbol: str = ""
    seconds: Annotated[float, Field(gt=0)]


class WrongClock(_Plan):
    """For so many seconds the times in all payloads are wrong by `offset_ms`; the REST time stays right."""

    kind: Literal["wrong_clock"] = "wrong_clock"
    feed: str
    offset_ms: int
    seconds: Annotated[float, Field(gt=0)]


class Mutate(_Plan):
    """For so many seconds a part of all that a feed sends is mutated: `rate` of the data, `rare_rate` of the rest.

    The rest: control frames, snapshots, pings, REST bodies; by default as many as of the data. See `damages`.
    """

    kind: Literal["mutate"] = "mutate"
    feed: str
    seed: int = 1
    rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    rare_rate: Annotated[float, Field(ge=0, le=1)] | None = None
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


BookFault = Gap | Duplicate | Reorder | Malformed | Crossed
SubscriptionFault = Silent | Refuse
ConnectionFault = Disconnect | Heartbeat | Mute | Shutdown | Maintenance
TimedFault = Stall | WrongClock
Fault = BookFault | Restart | SubscriptionFault | Definition | RateLimit | ConnectionFault | TimedFault | Mutate
Plan = Fault | Arbitrage
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
        """It took effect; only the first time counts."""
        if not self.started_at:
            self.started_at = time.time_ns()
            self._tell("fault started")

    def end(self) -> None:
        self.started_at = self.started_at or time.time_ns()
        self.ended_at = time.time_ns()
        self._over.set()
        self._tell("fault ended")

    def count(self, what: str) -> int:
        """Count one more of something in the result; the first time, it took effect."""
        self.result[what] = total = self.result.get(what, 0) + 1
        self.start()
        return int(total)

    async def over(self, timeout: float = 10.0) -> "Planted":
        """Wait until it is over; `TimeoutError` if it is not in time."""
        async with asyncio.timeout(timeout):
            await self._over.wait()
        return self

    def _tell(self, what: str) -> None:
        plan = self.plan.model_dump(exclude={"frame", "frame_base64"})
        result = {name: value for name, value in self.result.items() if name != "mutations"}  # there may be thousands
        _log.info(what, id=self.id, at=self.ended_at or self.started_at, **plan, result=result)


class GroundTruth:
    """Everything that was planted, in order."""

    def __init__(self) -> None:
        self.planted: list[Planted] = []
        self._ids = count(1)

    def add(self, plan: Plan) -> Planted:
        self.planted.append(Planted(id=next(self._ids), plan=plan, planted_at=time.time_ns()))
        return self.planted[-1]
