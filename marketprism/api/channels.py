"""Channels: what the API says of an instrument at the moment, each with its JSON and a sequence number.

A channel's name is `kind:symbol:exchange`, for some kinds with a further part. What changes often is only marked as
changed; its JSON is made when somebody asks for it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

_PARTS = 4
_FRESH = 1000  # items that are kept for the next frame


class Piece(NamedTuple):
    """What a frame says of one channel. `is_list`: `body` is items without brackets, of which `skipped` are missing."""

    sequence: int
    body: bytes
    is_list: bool = False
    skipped: int = 0

    def followed_by(self, later: "Piece", most: int) -> "Piece":
        """Return what replaces both for a client that has taken neither. `most`: bytes of items that are kept."""
        if not later.is_list or not self.body:
            return later._replace(skipped=self.skipped + later.skipped)
        if not later.body:
            return self._replace(sequence=later.sequence, skipped=self.skipped + later.skipped)
        if len(self.body) + len(later.body) > most:
            return later._replace(skipped=later.sequence - self.sequence + self.skipped + later.skipped)
        return Piece(later.sequence, self.body + b"," + later.body, True, self.skipped + later.skipped)


class Channel(Protocol):
    """What a channel has. `every`: frames between two of its changes."""

    name: str
    sequence: int
    every: int

    def snapshot(self) -> Piece:
        """Return its value, or its latest items."""

    def take(self) -> Piece:
        """Return what has changed since the last frame."""

    def discard(self) -> None:
        """Forget what has changed since the last frame, as nobody asks for it."""


class Latest:
    """Channel with one value, of which the latest counts. `render`: makes the JSON when it is asked for."""

    __slots__ = ("every", "name", "render", "sequence", "value")

    def __init__(self, name: str, render: Callable[[], bytes] | None = None, every: int = 1) -> None:
        self.name = name
        self.sequence = 0
        self.value = b"null"
        self.render = render
        self.every = every

    def snapshot(self) -> Piece:
        return Piece(self.sequence, self.render() if self.render else self.value)

    take = snapshot

    def discard(self) -> None:
        pass


class Log:
    """Channel of items, none of which replaces another. Items of one `key` do so in the snapshot."""

    __slots__ = ("_fresh", "_skipped", "every", "name", "recent", "sequence")

    def __init__(self, name: str, recent: "Recent") -> None:
        self.name = name
        self.sequence = 0
        self.every = 1
        self.recent = recent
        self._fresh: deque[bytes] = deque(maxlen=_FRESH)
        self._skipped = 0

    def append(self, value: bytes) -> None:
        """Add an item. Beyond the bound, the oldest of those that wait for the next frame is skipped."""
        self.sequence += 1
        self._skipped += len(self._fresh) == _FRESH
        self._fresh.append(value)

    def snapshot(self) -> Piece:
        return Piece(self.sequence, b",".join(self.recent.values()), True)

    def take(self) -> Piece:
        piece = Piece(self.sequence, b",".join(self._fresh), True, self._skipped)
        self.discard()
        return piece

    def discard(self) -> None:
        self._fresh.clear()
        self._skipped = 0


class Recent:
    """The newest items by key: all that are open, and the last `most` others."""

    __slots__ = ("_closed", "_most", "_open")

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[str, bytes] = {}
        self._closed: dict[str, bytes] = {}

    def put(self, key: str, value: bytes, is_open: bool = False) -> None:
        """Keep an item, instead of the one with that key."""
        if is_open:
            self._open.pop(key, None)
            self._open[key] = value
            return
        self._open.pop(key, None)
        self._closed[key] = value
        if len(self._closed) > self._most:
            del self._closed[next(iter(self._closed))]

    def values(self) -> list[bytes]:
        """Return the items, newest last; those that are open come after the others."""
        return [*self._closed.values(), *self._open.values()]

    def open(self) -> list[bytes]:
        """Return those that are open."""
        return list(self._open.values())


class Pattern(NamedTuple):
    """Pattern of channel names, by part."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Return a pattern from its text; parts that are missing at the end match everything."""
        parts = text.split(":")
        return cls((*parts, *["*"] * (_PARTS - len(parts))))

    @property
    def is_valid(self) -> bool:
        """Whether it can match anything."""
        return len(self.parts) == _PARTS and all(self.parts)

    def matches(self, name: str) -> bool:
        """Return whether a channel's name matches in every part."""
        parts = name.split(":")
        padded = (*parts, *[""] * (_PARTS - len(parts)))
        return all(map(fnmatchcase, padded, self.parts))


class Channels:
    """All channels by name. `changed`: those that have changed since the last frame."""

    def __init__(self) -> None:
        self.by_name: dict[str, Channel] = {}
        self.changed: set[Channel] = set()
        self.on_new: Callable[[Channel], None] = lambda channel: None

    def __iter__(self) -> Iterator[Channel]:
        return iter(self.by_name.values())

    def add(self, channel: Channel) -> None:
        self.by_name[channel.name] = channel
        self.on_new(channel)

    def matching(self, patterns: Iterable[Pattern]) -> list[Channel]:
        """Return the channels that match one of the patterns."""
        wanted = list(patterns)
        return [channel for channel in self if any(pattern.matches(channel.name) for pattern in wanted)]

    def set(self, name: str, value: bytes) -> None:
        """Set the value of a channel of the latest."""
        channel = self.by_name.get(name)
        if channel is None:
            channel = Latest(name)
            self.add(channel)
        assert isinstance(channel, Latest)
        channel.value = value
        self.mark(channel)

    def mark(self, channel: Channel) -> None:
        """Note that a channel of the latest has changed."""
        channel.sequence += 1
        self.changed.add(channel)

    def append(self, name: str, value: bytes, key: str, most: int, is_open: bool = False) -> None:
        """Add an item to a channel of items, whose snapshot has the `most` last ones."""
        channel = self.by_name.get(name)
        if channel is None:
            channel = Log(name, Recent(most))
            self.add(channel)
        assert isinstance(channel, Log)
        channel.append(value)
        channel.recent.put(key, value, is_open)
        self.changed.add(channel)
