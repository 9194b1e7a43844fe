"""Faults on command, each logged as it was planted."""

from collections import defaultdict, deque
from dataclasses import asdict, dataclass
from typing import Any, Literal

from schemas.errors import StackError

Kind = Literal["gap", "duplicate", "reorder", "disconnect", "abort", "stall", "malformed"]
KINDS = ("gap", "duplicate", "reorder", "disconnect", "abort", "stall", "malformed")


@dataclass(frozen=True)
class Fault:
    """`count`: book updates for `gap`; `seconds`: for `stall`; `payload`: the frame for `malformed`."""

    id: int
    kind: Kind
    feed: str
    symbol: str
    at: int  # ns
    count: int = 1
    seconds: float = 0.0
    payload: bytes = b""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"payload": len(self.payload)}


class BookFaults:
    """What happens to an instrument's next book updates on their way out."""

    def __init__(self) -> None:
        self._planned: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._dropping: dict[str, int] = {}
        self._held: dict[str, bytes] = {}

    def plan(self, fault: Fault) -> None:
        if fault.kind not in ("gap", "duplicate", "reorder"):
            raise StackError(f"{fault.kind} is no fault of book updates")
        self._planned[fault.symbol].append(fault)

    def pass_on(self, symbol: str, frame: bytes) -> list[bytes]:
        """The frames that leave in place of this one."""
        if symbol in self._held:
            return [frame, self._held.pop(symbol)]
        if self._dropping.get(symbol, 0):
            self._dropping[symbol] -= 1
            return []
        if not self._planned[symbol]:
            return [frame]
        fault = self._planned[symbol].popleft()
        if fault.kind == "duplicate":
            return [frame, frame]
        if fault.kind == "reorder":
            self._held[symbol] = frame
            return []
        self._dropping[symbol] = fault.count - 1
        return []


_TRADE = b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1790000000000,"T":1790000000000,"s":"BTCUSDT",'

# What a faulty server may send on a Binance socket.
RUBBISH: dict[str, bytes] = {
    "truncated": _TRADE,
    "wrong types": _TRADE + b'"t":"x","p":1,"q":[],"m":3}}',
    "unknown channel": b'{"stream":"btcusdt@mystery","data":{"e":"mystery","s":"BTCUSDT"}}',
    "empty array": b"[]",
    "oversized": b'{"stream":"btcusdt@trade","data":"' + b"x" * 10_000_000 + b'"}',
    "invalid UTF-8": b'{"stream":"btcusdt@trade","data":"\xff\xfe\xfd"}',
    "NaN": _TRADE + b'"t":1,"p":NaN,"q":"1","m":true}}',
    "negative amount": _TRADE + b'"t":1,"p":"1","q":"-1","m":true}}',
}
