"""Mutate a small, seeded share of an exchange's messages and record each mutation."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import Any, Literal, NamedTuple

from marketprism.simulator.server.damages import DAMAGES, TEXTUAL, WEIGHTS

MessageKind = Literal["data", "control", "snapshot", "ping", "rest"]

_MAX_RECORDED = 20_000  # mutations; older ones are forgotten
_WIRE_SHARE = 0.1  # of the mutations of compressed messages: those that strike the compressed bytes
_HEAD_BYTES = 300  # of a mutated message that are recorded


class Mutation(NamedTuple):
    """One replaced message. `at`: ns since the epoch; `sent`: the uncompressed messages sent in its place."""

    number: int
    at: int
    kind: MessageKind
    damage: str
    original: bytes
    sent: tuple[bytes, ...]

    def describe(self) -> dict[str, Any]:
        """Return the entry of the ground truth, which has hash, size and beginning of each message sent."""
        return {
            "number": self.number,
            "at": self.at,
            "what": self.kind,
            "damage": self.damage,
            "original": self.original.decode(errors="replace"),
            "sent": [
                {
                    "sha256": hashlib.sha256(message).hexdigest(),
                    "bytes": len(message),
                    "head": message[:_HEAD_BYTES].decode(errors="backslashreplace"),
                }
                for message in self.sent
            ],
        }


class Mutator:
    """Replaces the share `rate` of the data messages and `rare_rate` of the others, of which there are few.

    `damages` counts mutations by name, `kinds` by kind of message. `recorded` describes the last mutations.
    """

    def __init__(self, seed: str, rate: float, rare_rate: float) -> None:
        self._random = Random(seed)
        self._rate, self._rare_rate = rate, rare_rate
        self.messages = 0
        self.damages: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.recorded: deque[dict[str, Any]] = deque(maxlen=_MAX_RECORDED)

    def replace(
        self, kind: MessageKind, message: bytes, compress: Callable[[bytes], bytes] | None = None
    ) -> list[bytes]:
        """Return the messages that are sent in place of one, `compress`ed if that is given."""
        self.messages += 1
        if self._random.random() >= (self._rate if kind == "data" else self._rare_rate):
            return [compress(message) if compress else message]
        if compress and self._random.random() < _WIRE_SHARE:
            damage, sent = self._mutate(compress(message), TEXTUAL, kind)
            # A client may still be able to decompress the original.
            self._record(kind, f"{damage} on the wire", message, (*sent, message))
            return sent
        damage, sent = self._mutate(message, DAMAGES, kind)
        self._record(kind, damage, message, tuple(sent))
        return [compress(each) for each in sent] if compress else sent

    def _mutate(self, message: bytes, damages: dict[str, Any], kind: MessageKind) -> tuple[str, list[bytes]]:
        names = [name for name in damages if kind != "rest" or name != "duplicated"]  # a response has one body
        while names:
            [name] = self._random.choices(names, [WEIGHTS[each] for each in names])
            sent: list[bytes] = damages[name](message, self._random)
            if sent and sent != [message]:
                return name, sent
            names.remove(name)
        return "garbled", [message + b"\xff"]

    def _record(self, kind: MessageKind, damage: str, original: bytes, sent: tuple[bytes, ...]) -> None:
        self.damages[damage] += 1
        self.kinds[kind] += 1
        mutation = Mutation(self.damages.total(), time.time_ns(), kind, damage, original, sent)
        self.recorded.append(mutation.describe())
