"""Hostile messages: a small part of what an exchange sends is mutated, by a seed, and what was done is kept."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import Any, Literal, NamedTuple

from marketprism.simulator.server.damages import DAMAGES, TEXTUAL, WEIGHTS

What = Literal["data", "control", "snapshot", "ping", "rest"]

KEPT = 20_000  # mutations that are remembered; of more, the last
_WIRE = 0.1  # share of the mutations of packed messages that strike the packed bytes
_HEAD = 300  # bytes of a mutated message that are kept


class Mutation(NamedTuple):
    """One message that was replaced. `at`: ns since the epoch; `sent`: what went out in its place, unpacked."""

    number: int
    at: int
    what: What
    damage: str
    original: bytes
    sent: tuple[bytes, ...]

    def described(self) -> dict[str, Any]:
        """As the ground truth tells it: of what was sent its hash, size and beginning."""
        return {
            "number": self.number,
            "at": self.at,
            "what": self.what,
            "damage": self.damage,
            "original": self.original.decode(errors="replace"),
            "sent": [
                {
                    "sha256": hashlib.sha256(message).hexdigest(),
                    "bytes": len(message),
                    "head": message[:_HEAD].decode(errors="backslashreplace"),
                }
                for message in self.sent
            ],
        }


class Mutator:
    """Mutates `rate` of the data and `rare_rate` of everything else, of which there is little. Pure but for its record.

    `damages` counts by name, `whats` by the kind of message; `kept` are descriptions of the last mutations.
    """

    def __init__(self, seed: str, rate: float, rare_rate: float) -> None:
        self._random = Random(seed)
        self._rate, self._rare_rate = rate, rare_rate
        self.messages = 0
        self.damages: Counter[str] = Counter()
        self.whats: Counter[str] = Counter()
        self.kept: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def sent(self, what: What, message: bytes, pack: Callable[[bytes], bytes] | None = None) -> list[bytes]:
        """What goes out in place of a message; `pack` (gzip) makes the bytes on the wire."""
        self.messages += 1
        if self._random.random() >= (self._rate if what == "data" else self._rare_rate):
            return [pack(message) if pack else message]
        if pack and self._random.random() < _WIRE:
            wire = pack(message)
            damage, sent = self._mutated(wire, TEXTUAL, what)
            # A client that takes what it can unpack of it may see the original.
            self._keep(what, f"{damage} on the wire", message, (*sent, message))
            return sent
        damage, sent = self._mutated(message, DAMAGES, what)
        self._keep(what, damage, message, tuple(sent))
        return [pack(each) for each in sent] if pack else sent

    def _mutated(self, message: bytes, damages: dict[str, Any], what: What) -> tuple[str, list[bytes]]:
        names = [name for name in damages if what != "rest" or name != "doubled"]  # there is one body
        while names:
            [name] = self._random.choices(names, [WEIGHTS[each] for each in names])
            sent: list[bytes] = damages[name](message, self._random)
            if sent and sent != [message]:
                return name, sent
            names.remove(name)
        return "garbled", [message + b"\xff"]

    def _keep(self, what: What, damage: str, original: bytes, sent: tuple[bytes, ...]) -> None:
        self.damages[damage] += 1
        self.whats[what] += 1
        mutation = Mutation(self.damages.total(), time.time_ns(), what, damage, original, sent)
        self.kept.append(mutation.described())
