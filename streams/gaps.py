"""Report gaps of an instrument's book or trades: the topic `market.gaps`."""

from typing import Any, NamedTuple

from schemas.markers import Filled
from streams.output import Output
from streams.subject import Subject


class Gap(NamedTuple):
    """An open gap. `opened_at` and `since`, the receipt of the last frame before it, are µs."""

    id: str
    cause: str
    opened_at: int
    since: int
    channel: str = "books"
    first_missing: str = ""
    last_missing: str = ""


def open_gap(out: Output, subject: Subject, gap: Gap, expected: int = 0, received: int = 0) -> Gap:
    """Publish the event that opens a gap. `expected` and `received`: ids at a sequence gap of a book, else 0."""
    _publish(out, subject, gap, "opened", expected, received, 0)
    return gap


def close_gap(out: Output, subject: Subject, gap: Gap) -> None:
    """Publish the event that closes a gap."""
    _publish(out, subject, gap, "closed", 0, 0, max(out.now - gap.since, 0))


def publish_filled(out: Output, subject: Subject, filled: Filled) -> None:
    """Publish that the tables hold what a gap lacked."""
    gap = Gap(filled.id, filled.cause, 0, filled.since, "trades", filled.first_missing, filled.last_missing)
    _publish(out, subject, gap, "filled", 0, 0, max(out.now - gap.since, 0))


def _publish(out: Output, subject: Subject, gap: Gap, kind: str, expected: int, received: int, duration: int) -> None:
    body: dict[str, Any] = out.head(subject, out.now) | {
        "type": kind,
        "id": gap.id,
        "cause": gap.cause,
        "channel": gap.channel,
        "since": gap.since,
        "first_missing": gap.first_missing,
        "last_missing": gap.last_missing,
        "expected": expected,
        "received": received,
        "duration": duration,
    }
    out.event("market.gaps", subject.key, body)
