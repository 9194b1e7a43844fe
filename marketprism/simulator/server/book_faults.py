"""Faults of the book stream: they take effect on the next book frames that somebody is sent."""

import base64
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from aiohttp import WSMsgType

from marketprism.simulator.plans import BookFault, Crossed, Gap, Malformed, Planted, Reorder

HUGE = 10_000_000  # bytes
INVALID_UTF8 = b'{"e":"\xff\xfe\x80"}'

_AMOUNTS = {"nan": "NaN", "negative": "-1.5"}
_IN_PLACE = frozenset({"truncated", "wrong_types", "empty_arrays", *_AMOUNTS})


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

    def level(self, price: str, amount: str) -> list[Any]: ...

    def crossing(self, symbol: str) -> tuple[str, str]: ...


class BookFaults:
    """The armed faults of one feed's books; each symbol's take effect one after the other."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._armed: dict[str, list[tuple[Planted, BookFault]]] = {}
        self._channel: dict[int, str] = {}  # by id of the fault: the stream it has bound itself to
        self._kept: dict[int, dict[str, Any]] = {}

    def plant(self, planted: Planted, plan: BookFault) -> None:
        self._armed.setdefault(plan.symbol, []).append((planted, plan))

    def apply(self, channel: str, symbol: str, payload: dict[str, Any]) -> list[Outgoing]:
        """What goes out in place of this book update of a stream."""
        armed = self._armed.get(symbol)
        if not armed or self._channel.setdefault(armed[0][0].id, channel) != channel:
            return [Outgoing(payload)]
        planted, plan = armed[0]
        planted.start()
        sent = list(self._take(planted, plan, payload))
        if planted.ended_at:
            armed.pop(0)
        return sent

    def _take(self, planted: Planted, plan: BookFault, payload: dict[str, Any]) -> Iterator[Outgoing]:
        ids = planted.result.setdefault("frames", [])
        ids.append(self._dialect.frame_ids(payload))
        if isinstance(plan, Gap):
            if len(ids) == plan.count:
                planted.end()
        elif isinstance(plan, Reorder) and len(ids) == 1:
            self._kept[planted.id] = payload
        elif isinstance(plan, Malformed):
            yield from self._malformed(plan, payload)
            planted.result["replaced"] = plan.form in _IN_PLACE
            planted.end()
        elif isinstance(plan, Crossed):
            yield self._crossed(planted, plan, copy.deepcopy(payload))
            planted.end()
        else:
            yield Outgoing(payload)
            yield Outgoing(self._kept.pop(planted.id, payload))  # its own repetition, or the one that was kept back
            planted.end()

    def _crossed(self, planted: Planted, plan: Crossed, payload: dict[str, Any]) -> Outgoing:
        price, amount = planted.result["bid"] = self._dialect.crossing(plan.symbol)
        # Last, as the update itself may delete a bid at that price.
        self._dialect.sides(payload)[0].append(self._dialect.level(price, amount))
        return Outgoing(payload)

    def _malformed(self, plan: Malformed, payload: dict[str, Any]) -> Iterator[Outgoing]:
        if plan.form in _IN_PLACE:
            yield self._ruined(plan, copy.deepcopy(payload))
            return
        yield Outgoing(payload)
        if plan.form == "unknown_channel":
            yield Outgoing(self._dialect.unknown(plan.symbol))
        elif plan.form == "huge":
            yield Outgoing(self._dialect.unknown(plan.symbol) | {"padding": "x" * HUGE})
        elif plan.form == "invalid_utf8":
            yield Outgoing({}, raw=INVALID_UTF8)
        else:
            yield _given(plan)

    def _ruined(self, plan: Malformed, payload: dict[str, Any]) -> Outgoing:
        price, _ = self._dialect.crossing(plan.symbol)
        for side in self._dialect.sides(payload):
            if plan.form == "wrong_types":
                side[:] = [[{"price": price}, None], 17]
            elif plan.form in _AMOUNTS:
                side.insert(0, self._dialect.level(price, _AMOUNTS[plan.form]))
        if plan.form == "empty_arrays":
            self._dialect.empty(payload)
        return Outgoing(payload, cut=plan.form == "truncated")


def _given(plan: Malformed) -> Outgoing:
    data = base64.b64decode(plan.frame_base64) if plan.frame_base64 else plan.frame.encode()
    try:
        data.decode()
    except UnicodeDecodeError:
        return Outgoing({}, raw=data, opcode=WSMsgType.BINARY)
    return Outgoing({}, raw=data)
