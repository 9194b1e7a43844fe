"""Publish the definition of one instrument and its changes: the topic `market.instruments`."""

from typing import Any

from schemas.instruments import Instrument, differences
from streams.output import Output
from streams.subject import Subject

_SIZES = ("tick_size", "lot_size")  # which may be unknown
_FIELDS = (
    "feed", "exchange_symbol", "kind", "base", "quote", "settle", *_SIZES, "contract_size", "inverse", "expiry",
    "status",
)  # fmt: skip


class DefinitionHandler:
    """Publishes what an instrument's definitions say. `is_listed`: the first one has been published."""

    __slots__ = ("_subject", "is_listed")

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.is_listed = False

    def on_definition(self, out: Output, old: Instrument, new: Instrument) -> None:
        """Publish the first definition, and each field that a later one changes. Connections repeat definitions."""
        if not self.is_listed:
            self.is_listed = True
            self._publish(out, new, "listed")
            return
        for field, (before, after) in differences(old, new).items():
            self._publish(out, new, "changed", field, str(before), str(after))

    def on_delisted(self, out: Output) -> None:
        """Publish that the instrument is gone."""
        self._publish(out, self._subject.instrument, "delisted")

    def _publish(
        self, out: Output, instrument: Instrument, kind: str, field: str = "", old: str = "", new: str = ""
    ) -> None:
        definition: dict[str, Any] = {name: getattr(instrument, name) for name in _FIELDS}
        definition |= {name: definition[name] or None for name in _SIZES}
        change = {"type": kind, "field": field, "old": old, "new": new}
        out.event("market.instruments", self._subject.key, out.head(self._subject, out.now) | change | definition)
