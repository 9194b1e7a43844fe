"""State of one source partition that is checkpointed: entries by key, and one entry of the partition itself."""

from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar

from streams.packing import pack, unpack


class Entry(Protocol):
    """State behind one key. `checkpoint_offset`: it contains all records up to this offset."""

    checkpoint_offset: int

    def dump(self) -> bytes:
        """Return the entry for a checkpoint."""


E = TypeVar("E", bound=Entry)


class KeyedState(ABC, Generic[E]):
    """Base of the processors: knows what has changed since the last checkpoint. `offset`: of the last record."""

    def __init__(self, own_key: str) -> None:
        self.entries: dict[str, E] = {}
        self.offset = -1
        self.own_key = own_key
        self.own_checkpoint_offset = -1
        self.changed: set[str] = set()
        self._gone: set[str] = set()

    def take_changed(self) -> list[str]:
        """Return the keys of the entries that have changed since the last call."""
        changed, self.changed = self.changed & {*self.entries, self.own_key}, set()
        return sorted(changed)

    def take_gone(self) -> list[str]:
        """Return the keys of the entries that were deleted since the last call."""
        gone, self._gone = self._gone - set(self.entries), set()
        return sorted(gone)

    def delete(self, key: str) -> None:
        """Delete an entry; the next checkpoint deletes it from the table."""
        del self.entries[key]
        self._gone.add(key)

    def dump(self, key: str) -> bytes:
        """Return one entry for a checkpoint, as of the last record."""
        if key == self.own_key:
            self.own_checkpoint_offset = self.offset
            return pack({"checkpoint_offset": self.offset, "own": self.dump_own()})
        self.entries[key].checkpoint_offset = self.offset
        return self.entries[key].dump()

    def load(self, key: str, dump: bytes) -> None:
        """Restore one entry. Raises `CheckpointError` if another version wrote it."""
        if key == self.own_key:
            state = unpack(dump)
            self.load_own(state["own"])
            self.own_checkpoint_offset = state["checkpoint_offset"]
        else:
            self.entries[key] = self.load_entry(key, dump)

    @abstractmethod
    def owns(self, key: str) -> bool:
        """Return whether an entry of the table belongs to this partition."""

    @abstractmethod
    def dump_own(self) -> Any:
        """Return the partition's own state, to be encoded as JSON."""

    @abstractmethod
    def load_own(self, state: Any) -> None:
        """Restore the partition's own state."""

    @abstractmethod
    def load_entry(self, key: str, dump: bytes) -> E:
        """Return the entry of a dump."""
