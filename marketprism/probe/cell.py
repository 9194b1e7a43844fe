"""What was observed of one channel or poll, and the verdict on it."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from marketprism.probe.book_check import BookCheck
from marketprism.probe.expected import TRADED_LITTLE
from marketprism.probe.shape import Findings, Shape, compare
from schemas.channels import CHANNELS
from schemas.symbols import Kind

Result = Literal["ok", "quiet", "unknown", "changed"]
WORST: tuple[Result, ...] = ("changed", "unknown", "quiet", "ok")

LISTING, CLOCK, SNAPSHOT, FALLBACK, OTHERS = "listing", "clock", "snapshot", "fallback", "others"
"""What is probed besides channels and polls: the definitions of instruments, the exchange's time, a book's snapshot,
its best levels as they are polled while no socket works, and frames that nobody has asked for."""

_ACKNOWLEDGED_WITHIN = 10.0  # s
_LIQUID: tuple[Kind, ...] = ("spot", "perp")
_SHOWN = 5  # findings of one sort that a reason names


class Failure(NamedTuple):
    """A request that failed, or a socket that could not be opened. `changed`: the exchange has changed, not gone."""

    reason: str
    changed: bool


class Verdict(NamedTuple):
    """Verdict, and the reason for it."""

    result: Result
    reason: str = ""


@dataclass
class Cell:
    """Observations of one channel of an instrument, or of one request (`is_request`). Times are s, monotonic.

    `symbol`: empty if it is about the whole feed. `shapes`: those that its frames may have; none: they are not looked
    into. `asked_at`: when the connection was opened, or the request sent. `rows`: of an answer. `failure`: why there is
    no answer. `rejection`: why the exchange rejected the subscription last. `dead_letters`: by reason.
    """

    feed: str
    channel: str
    symbol: str = ""
    kind: Kind = "spot"
    is_request: bool = False
    shapes: tuple[Shape, ...] = ()
    asked_at: float | None = None
    acknowledged_at: float | None = None
    first_at: float | None = None
    frames: int = 0
    rows: int = 0
    failure: Failure | None = None
    rejection: str = ""
    findings: Findings = field(default_factory=Findings)
    dead_letters: Counter[str] = field(default_factory=Counter)
    book: BookCheck | None = None
    clock_offset: int | None = None  # µs, the exchange's clock minus ours

    def on_acknowledged(self, now: float) -> None:
        """Note that the exchange has acknowledged the subscription, or answered the request."""
        if self.acknowledged_at is None:
            self.acknowledged_at, self.rejection = now, ""
        self.failure = None

    def on_frame(self, now: float, frame: bytes = b"") -> None:
        """Count a frame, and compare it with what is expected. What is no JSON becomes a dead letter."""
        self.first_at = self.first_at or now
        self.frames += 1
        if self.shapes:
            with suppress(orjson.JSONDecodeError):
                self.findings.add(compare(self.shapes, orjson.loads(frame)))

    def on_answer(self, now: float, body: bytes = b"") -> None:
        """Note the answer to a request."""
        self.on_acknowledged(now)
        self.on_frame(now, body)

    def verdict(self, now: float) -> Verdict:
        """Return the verdict, as far as it can be given at this time."""
        if self.failure:
            return Verdict("changed" if self.failure.changed else "unknown", self.failure.reason)
        if self.acknowledged_at is None:
            return self._unacknowledged(now)
        if changes := [*self._changes()]:
            return Verdict("changed", "; ".join(changes))
        if self.is_request:
            is_empty = self.channel in CHANNELS and not self.rows
            return Verdict("quiet", "its answer has no rows") if is_empty else Verdict("ok")
        return Verdict("ok") if self.frames else self._silent(now - self.acknowledged_at)

    def _unacknowledged(self, now: float) -> Verdict:
        if self.rejection:
            return Verdict("changed", f"subscription rejected: {self.rejection}")
        if self.asked_at is None:
            return Verdict("unknown", "was not requested")
        waited = now - self.asked_at
        if self.is_request or waited < _ACKNOWLEDGED_WITHIN:
            return Verdict("unknown", f"no answer after {waited:.0f} s")
        return Verdict("changed", f"not acknowledged within {waited:.0f} s")

    def _silent(self, waited: float) -> Verdict:
        expected = self._expected_within()
        if expected and self.rejection:
            return Verdict("changed", self.rejection)
        if expected and waited >= expected:
            return Verdict("changed", f"acknowledged, but silent for {waited:.0f} s (usual: {expected:g} s)")
        usual = f"a message every {expected:g} s is usual" if expected else "it may be silent for long"
        return Verdict("quiet", f"nothing in {waited:.0f} s; {usual}")

    def _expected_within(self) -> float:
        """Return the seconds within which there must be a message; 0 if it may be quiet for long."""
        channel = CHANNELS[self.channel]
        is_liquid = self.kind in _LIQUID and self.kind not in TRADED_LITTLE.get(self.feed, ())
        return channel.usual_s if is_liquid or not channel.usual_s else channel.timeout_s

    def _changes(self) -> list[str]:
        """Return all that contradicts what is expected."""
        found = [_named("unknown fields", self.findings.unknown), _named("missing fields", self.findings.missing)]
        found.append(_named("unknown values", self.findings.values))
        found += [f"{count} × {reason}" for reason, count in self.dead_letters.most_common(_SHOWN)]
        if self.book and self.frames:
            found += self.book.changes()
        return [each for each in found if each]


def _named(what: str, paths: set[str]) -> str:
    shown = sorted(paths)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"{what}: {', '.join(shown[:_SHOWN])}{more}" if shown else ""


def as_dict(cell: Cell, verdict: Verdict) -> dict[str, Any]:
    """Return a cell as it is printed as JSON. Durations are in seconds, `clock_offset` in µs."""
    book = cell.book or BookCheck()
    return {
        "channel": cell.channel,
        "symbol": cell.symbol,
        "verdict": verdict.result,
        "reason": verdict.reason,
        "acknowledged": cell.acknowledged_at is not None,
        "acknowledged_s": _since(cell.asked_at, cell.acknowledged_at),
        "first_frame_s": _since(cell.asked_at, cell.first_at),
        "frames": cell.frames,
        "unknown_fields": sorted(cell.findings.unknown),
        "missing_fields": sorted(cell.findings.missing),
        "unknown_values": sorted(cell.findings.values),
        "sequence": book.sequence or None,
        "checksum": book.checksum or None,
        "clock_offset": cell.clock_offset,
    }


def _since(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else round(end - begin, 3)
