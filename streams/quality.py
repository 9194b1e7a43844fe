"""Publish comparisons with what the exchanges say: the topic `market.quality`."""

from typing import Any

from streams.output import Output
from streams.subject import Subject

_EMPTY: dict[str, Any] = {
    "compared": 0, "agreed": 0, "differed": 0, "sequence": 0, "bbo": [], "book": [],
    "interval": "", "start": None, "late": 0, "cause": "", "fields": [], "theirs": [], "ours": [],
}  # fmt: skip


def publish_quality(out: Output, subject: Subject, check: str, kind: str, **fields: Any) -> None:
    """Publish one event. `check`: what was compared; `kind`: the event's type. Fields that are not given are empty."""
    head = out.head(subject, out.now) | {"type": kind, "check": check}
    out.event("market.quality", subject.key, head | _EMPTY | fields)
