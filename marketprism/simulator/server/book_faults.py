"""Faults of book streams, which strike the next book updates that have a subscriber."""

import base64
import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiohttp import WSMsgType

from marketprism.simulator.plans import BookFault, Crossed, Gap, Malformed, Planted, Reorder

HUGE = 10_000_000  # bytes
INVALID_UTF8 = b'{"e":"\xff\xfe\x80"}'

_AMOUNTS = {"nan": "NaN", "negative": "-1.5"}
_IN_PLACE = frozenset({"truncated", "wrong_types", "empty_arrays", *_AMOUNTS})


class Outgoing(NamedTuple):
    """A payload to encode and send, or `raw` bytes to send unchanged. `cut`: send only half of the frame."""

    payload: dict[str, Any]
    cut: bool = False
    raw: bytes | None = None
    opcode: WSMsgType = WSMsgType.TEXT


class Dialect(ABC):
    """An exchange's encoding of book updates, as far as the faults must know it."""

    @abstractmethod
    def frame_ids(self, payload: dict[str, Any]) -> dict[str, int]:
        """Return the sequence ids of a book update, by field name."""

    @abstractmethod
    def sides(self, payload: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """Return the lists of bids and asks of a book update, to be changed in place."""

    @abstractmethod
    def empty_arrays(self, payload: dict[str, Any]) -> None:
        """Replace the levels of a book update by empty arrays."""

    @abstractmethod
    def unknown_frame(self, symbol: str) -> dict[str, Any]:
        """Return a frame of a channel that the exchange does not have."""

    def encode_level(self, price: str, amount: str) -> list[Any]:
        """Return one level as it is encoded in a book update."""
        return [price, amount]

    @abstractmethod
    def crossing_bid(self, symbol: str) -> tuple[str, str]:
        """Return price and amount of a bid that crosses the true book."""


class BookFaults:
    """The armed faults of one feed's books. Those of one symbol take effect one after the other."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._armed: dict[str, list[tuple[Planted, BookFault]]] = {}
        self._streams: dict[int, str] = {}  # by id of the fault: the name of the stream it strikes
        self._held_back: dict[int, dict[str, Any]] = {}  # by id of the fault: the first update of a reordered pair

    def plant(self, planted: Planted, plan: BookFault) -> None:
        """Arm a fault."""
        self._armed.setdefault(plan.symbol, []).append((planted, plan))

    def apply(self, stream: str, symbol: str, payload: dict[str, Any]) -> list[Outgoing]:
        """Return what is sent in place of a book update of the named stream."""
        armed = self._armed.get(symbol)
        if not armed or self._streams.setdefault(armed[0][0].id, stream) != stream:
            return [Outgoing(payload)]
        planted, plan = armed[0]
        planted.start()
        sent = list(self._strike(planted, plan, payload))
        if planted.ended_at:
            armed.pop(0)
        return sent

    def _strike(self, planted: Planted, plan: BookFault, payload: dict[str, Any]) -> Iterator[Outgoing]:
        ids = planted.result.setdefault("frames", [])
        ids.append(self._dialect.frame_ids(payload))
        if isinstance(plan, Gap):
            if len(ids) == plan.count:
                planted.end()
        elif isinstance(plan, Reorder) and len(ids) == 1:
            self._held_back[planted.id] = payload
        elif isinstance(plan, Malformed):
            yield from self._malformed(plan, payload)
            planted.result["replaced"] = plan.form in _IN_PLACE
            planted.end()
        elif isinstance(plan, Crossed):
            yield self._crossed(planted, plan, copy.deepcopy(payload))
            planted.end()
        else:
            yield Outgoing(payload)
            yield Outgoing(self._held_back.pop(planted.id, payload))  # a reordered update, or else a duplicate
            planted.end()

    def _crossed(self, planted: Planted, plan: Crossed, payload: dict[str, Any]) -> Outgoing:
        price, amount = planted.result["bid"] = self._dialect.crossing_bid(plan.symbol)
        # Appended last, because the update itself may delete a bid at that price.
        self._dialect.sides(payload)[0].append(self._dialect.encode_level(price, amount))
        return Outgoing(payload)

    def _malformed(self, plan: Malformed, payload: dict[str, Any]) -> Iterator[Outgoing]:
        if plan.form in _IN_PLACE:
            yield self._corrupted(plan, copy.deepcopy(payload))
            return
        yield Outgoing(payload)
        if plan.form == "unknown_channel":
            yield Outgoing(self._dialect.unknown_frame(plan.symbol))
        elif plan.form == "huge":
            yield Outgoing(self._dialect.unknown_frame(plan.symbol) | {"padding": "x" * HUGE})
        elif plan.form == "invalid_utf8":
            yield Outgoing({}, raw=INVALID_UTF8)
        else:
            yield _given(plan)

    def _corrupted(self, plan: Malformed, payload: dict[str, Any]) -> Outgoing:
        price, _ = self._dialect.crossing_bid(plan.symbol)
        for side in self._dialect.sides(payload):
            if plan.form == "wrong_types":
                side[:] = [[{"price": price}, None], 17]
            elif plan.form in _AMOUNTS:
                side.insert(0, self._dialect.encode_level(price, _AMOUNTS[plan.form]))
        if plan.form == "empty_arrays":
            self._dialect.empty_arrays(payload)
        return Outgoing(payload, cut=plan.form == "truncated")


def _given(plan: Malformed) -> Outgoing:
    data = base64.b64decode(plan.frame_base64) if plan.frame_base64 else plan.frame.encode()
    try:
        data.decode()
    except UnicodeDecodeError:
        return Outgoing({}, raw=data, opcode=WSMsgType.BINARY)
    return Outgoing({}, raw=data)
