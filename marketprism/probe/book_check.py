"""Check a book against the rules of its feed: does each update follow the last, and do the checksums hold?"""

from collections import Counter
from dataclasses import dataclass, field

from streams.normalize.messages import BookMessage

_BREAKS = 2  # breaks of a chain that are a change: a single one may be an incident of the exchange
_ENOUGH_CHECKSUMS = 5  # equal ones that are a constant


@dataclass
class BookCheck:
    """Whether the updates of a book follow one another, and whether its checksums hold.

    `breaks`: of the chain, by the cause of the gap. `is_built`: it was live at any time. `has_updates`: it has had one.
    """

    breaks: Counter[str] = field(default_factory=Counter)
    is_built: bool = False
    has_updates: bool = False
    checksums: Counter[int] = field(default_factory=Counter)  # no more than two: more are not constant

    def on_message(self, message: BookMessage) -> None:
        """Note the checksum of a message that changes the book."""
        self.has_updates = self.has_updates or message.kind == "update"
        is_change = bool(message.bids.levels or message.asks.levels)
        if is_change and (len(self.checksums) < 2 or message.checksum in self.checksums):
            self.checksums[message.checksum] += 1

    @property
    def sequence(self) -> str:
        """Whether the rule of the feed's sequence held: `held`, `broken`, or empty if there was none to check."""
        if self._sequence_breaks or self._lacks_snapshot:
            return "broken"
        return "held" if self.has_updates and self.is_built else ""

    @property
    def checksum(self) -> str:
        """Whether the checksums held: `held`, `broken`, `constant`, or empty if there are none."""
        if self._constant:
            return "constant"
        if self.breaks["checksum"] or (self._has_checksums and self.has_updates and not self.is_built):
            return "broken"
        return "held" if self._has_checksums else ""

    def changes(self) -> list[str]:
        """Return what contradicts the rules of the book."""
        found = []
        if self._constant:
            found.append(f"the checksum is always {self._constant}, while the book changes")
        elif self.checksum == "broken":
            found.append("the checksums contradict the book")
        if self._sequence_breaks >= _BREAKS:
            causes = ", ".join(sorted(set(self.breaks) - {"checksum"}))
            found.append(f"the chain of updates broke {self._sequence_breaks} times ({causes})")
        elif self._lacks_snapshot:
            found.append("no book could be built: its updates do not follow its snapshot")
        return found

    @property
    def _sequence_breaks(self) -> int:
        return self.breaks.total() - self.breaks["checksum"]

    @property
    def _has_checksums(self) -> bool:
        return any(self.checksums)  # 0 is none

    @property
    def _lacks_snapshot(self) -> bool:
        """Whether no snapshot fits the updates. With checksums, a wrong one may be what rejects it."""
        return self.has_updates and not self.is_built and not self._has_checksums

    @property
    def _constant(self) -> int:
        """The checksum that all messages have; 0 if they differ, or have none."""
        [(checksum, count)] = self.checksums.most_common(1) or [(0, 0)]
        return checksum if len(self.checksums) == 1 and count >= _ENOUGH_CHECKSUMS else 0
