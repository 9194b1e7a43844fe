"""The plans of faults and arbitrages that can be planted, and the ground truth: what each did, and when.

The modules `*_faults` and `rate_limits` in `server/` carry the faults out. A fault that needs an occasion (a book
update, a subscription, a request) is armed when it is planted and starts on that occasion.
"""

import asyncio
import time
from itertools import count
from typing import Annotated, Any, Literal

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter

from schemas.channels import CHANNELS

_log = structlog.get_logger(__name__)

Form = Literal[
    "truncated", "wrong_types", "nan", "negative", "empty_arrays", "unknown_channel", "huge", "invalid_utf8", "given"
]


def _known_channel(name: str) -> str:
    if name not in CHANNELS:
        raise ValueError(f"unknown channel: known are {', '.join(CHANNELS)}")
    return name


Channel = Annotated[str, AfterValidator(_known_channel)]


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
    """The next two book updates are swapped."""

    kind: Literal["reorder"] = "reorder"


class Malformed(_InstrumentFault):
    """The next book update is corrupted, or followed by a malformed frame.

    `truncated`, `wrong_types`, `nan`, `negative` and `empty_arrays` corrupt the update itself. The other forms leave
    it intact and send one more frame after it. `given` sends `frame` or the bytes of `frame_base64`: as a text frame
    if they are valid UTF-8, otherwise as a binary frame. `invalid_utf8` is always sent as a text frame, on which a
    client must close the connection (RFC 6455).
    """

    kind: Literal["malformed"] = "malformed"
    form: Form
    frame: str = ""
    frame_base64: str = ""


class Crossed(_InstrumentFault):
    """The next book update contains a bid above the best ask, which the true book does not have."""

    kind: Literal["crossed"] = "crossed"


class Restart(_InstrumentFault):
    """The book's ids restart from a small number, in streams, snapshots and REST alike.

    This breaks the chain of updates. An exchange that documents such a reset (OKX: `seqId` < `prevSeqId`) keeps the
    chain intact unless `hard` is set.
    """

    kind: Literal["restart"] = "restart"
    hard: bool = False


class Silent(_InstrumentFault):
    """A channel stops sending on all connections that are subscribed to it, although requests are acknowledged.

    It resumes when the client subscribes again or, with `reconnect`, only on a new connection. If no connection is
    subscribed, the fault strikes the first one that subscribes.
    """

    kind: Literal["silent"] = "silent"
    channel: Channel
    until: Literal["resubscribe", "reconnect"] = "resubscribe"


class Refuse(_InstrumentFault):
    """The next `count` requests to subscribe to a channel are rejected with the exchange's own error."""

    kind: Literal["refuse"] = "refuse"
    channel: Channel
    count: Annotated[int, Field(ge=1)] = 1


class Definition(_InstrumentFault):
    """An instrument's listing changes; exchanges that announce such changes announce it.

    `gone`: the instrument is no longer listed, cannot be subscribed, and sends nothing. `closed`, `halted`: reported
    in its state. `resized`: a different contract size. `unsized`: no contract size yet, as before an opening. Both
    change the listing only. `odd`: the entry is unusable. `back`: the original entry is restored.
    """

    kind: Literal["definition"] = "definition"
    change: Literal["gone", "closed", "halted", "resized", "unsized", "odd", "back"]


class RateLimit(_Plan):
    """The next `count` requests, or all requests for `seconds`, are answered as if the rate limit were exceeded.

    `rest`: REST requests get the HTTP status and the time to wait. 418 exists on Binance only, where the body names
    the end of the ban. `ws`: requests to subscribe.
    """

    kind: Literal["rate_limit"] = "rate_limit"
    feed: str
    where: Literal["rest", "ws"] = "rest"
    status: Literal[429, 418] = 429
    count: Annotated[int, Field(ge=1)] = 1
    seconds: Annotated[float, Field(gt=0)] | None = None


class _ConnectionFault(_Plan):
    """Base of faults that strike all connections, or only those subscribed to `symbol` if it is set."""

    feed: str
    symbol: str = ""


class Disconnect(_ConnectionFault):
    """Connections are closed, with or without a close frame."""

    kind: Literal["disconnect"] = "disconnect"
    close_frame: bool = True
    code: Annotated[int, Field(ge=1000, le=4999)] = 1001


class Heartbeat(_ConnectionFault):
    """The exchange treats its heartbeat as unanswered and closes connections with its usual code and reason."""

    kind: Literal["heartbeat"] = "heartbeat"


class Mute(_ConnectionFault):
    """The current connections stay open, but nothing is sent or answered on them any more. New connections work."""

    kind: Literal["mute"] = "mute"


class Shutdown(_ConnectionFault):
    """The exchange announces that it will close connections, and closes them after `seconds`."""

    kind: Literal["shutdown"] = "shutdown"
    seconds: Annotated[float, Field(ge=0)] = 1.0


class Maintenance(_Plan):
    """After an announcement all connections are closed, and new ones are rejected with HTTP 503 for `seconds`."""

    kind: Literal["maintenance"] = "maintenance"
    feed: str
    seconds: Annotated[float, Field(gt=0)]


class Stall(_Plan):
    """Sockets stay open, but no data are sent for `seconds`; the data of that time are lost."""

    kind: Literal["stall"] = "stall"
    feed: str
    symbol: str = ""
    seconds: Annotated[float, Field(gt=0)]


class WrongClock(_Plan):
    """For `seconds`, the times in all payloads are off by `offset_ms`; the time reported by REST stays right."""

    kind: Literal["wrong_clock"] = "wrong_clock"
    feed: str
    offset_ms: int
    seconds: Annotated[float, Field(gt=0)]


class Mutate(_Plan):
    """For `seconds`, the share `rate` of a feed's data messages and `rare_rate` of its other messages are mutated.

    The other messages are control frames, snapshots, pings and REST bodies. `rare_rate` defaults to `rate`. The module
    `damages` lists the kinds of mutation.
    """

    kind: Literal["mutate"] = "mutate"
    feed: str
    seed: int = 1
    rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    rare_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    seconds: Annotated[float, Field(gt=0)]


class Change(_InstrumentFault):
    """For `seconds`, the field `field` of a channel's messages has another `name`, another `value`, or both."""

    kind: Literal["change"] = "change"
    channel: Channel
    field: str
    name: str = ""
    value: str | int | None = None
    seconds: Annotated[float, Field(gt=0)]


class Move(_Plan):
    """For `seconds`, a path, of WebSockets or of REST, is answered with HTTP 404. Open connections stay."""

    kind: Literal["move"] = "move"
    feed: str
    path: str
    seconds: Annotated[float, Field(gt=0)]


class Arbitrage(_Plan):
    """One exchange's book is moved until its gross spread to another's is `bps`, and back after `seconds`.

    It starts `arbitrage.SETTLE_S` after it is planted. `buy` and `sell` are feeds. Fees are in basis points and default
    to the taker fees of the settings.
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
ProtocolChange = Change | Move
Fault = (
    BookFault | Restart | SubscriptionFault | Definition | RateLimit | ConnectionFault | TimedFault | Mutate
    | ProtocolChange
)  # fmt: skip
Plan = Fault | Arbitrage
PLANS: TypeAdapter[Plan] = TypeAdapter(Annotated[Plan, Field(discriminator="kind")])


class Planted(BaseModel):
    """Entry of the ground truth. Times are ns since the epoch, 0 until known. `result`: what exactly the plan did."""

    id: int
    plan: Annotated[Plan, Field(discriminator="kind")]
    planted_at: int
    started_at: int = 0
    ended_at: int = 0
    result: dict[str, Any] = Field(default_factory=dict)
    _over: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    def start(self) -> None:
        """Record that the plan took effect; later calls change nothing."""
        if not self.started_at:
            self.started_at = time.time_ns()
            self._log("fault started")

    def end(self) -> None:
        """Record that the plan is over."""
        self.started_at = self.started_at or time.time_ns()
        self.ended_at = time.time_ns()
        self._over.set()
        self._log("fault ended")

    def count(self, name: str) -> int:
        """Increment the counter `name` of the result and return it; the first call starts the fault."""
        self.result[name] = total = self.result.get(name, 0) + 1
        self.start()
        return int(total)

    async def over(self, timeout: float = 10.0) -> "Planted":
        """Wait until the plan is over; raise `TimeoutError` after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            await self._over.wait()
        return self

    def _log(self, event: str) -> None:
        plan = self.plan.model_dump(exclude={"frame", "frame_base64"})
        result = {name: value for name, value in self.result.items() if name != "mutations"}  # there may be thousands
        _log.info(event, id=self.id, at=self.ended_at or self.started_at, **plan, result=result)


class GroundTruth:
    """Record of everything that was planted, in order."""

    def __init__(self) -> None:
        self.planted: list[Planted] = []
        self._ids = count(1)

    def add(self, plan: Plan) -> Planted:
        self.planted.append(Planted(id=next(self._ids), plan=plan, planted_at=time.time_ns()))
        return self.planted[-1]
