"""Channels: what the API says of an instrument at the moment, each with its JSON and a sequence number.

A channel's name is `kind:symbol:exchange`, for some kinds with a further part. What changes often is only marked as
changed; its JSON is made when somebody asks for it.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, Protocol

_FRESH = 1000  # items that are kept for the next frame
_MOST_OPEN = 1000  # open items of one channel: more are open only if their ends were lost


class Piece(NamedTuple):
    """What a frame says of one channel. `is_list`: `body` is `items` items without brackets; `skipped` are missing."""

    sequence: int
    body: bytes
    is_list: bool = False
    items: int = 0
    skipped: int = 0

    def followed_by(self, later: "Piece", most: int) -> "Piece":
        """Return what replaces both for a client that has taken neither. `most`: bytes of items that are kept."""
        if not later.is_list:
            return later
        skipped = self.skipped + later.skipped
        if not later.body:
            return self._replace(sequence=later.sequence, skipped=skipped)
        if not self.body or len(self.body) + len(later.body) > most:
            return later._replace(skipped=skipped + self.items)
        return Piece(later.sequence, self.body + b"," + later.body, True, self.items + later.items, skipped)


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
        return _piece(self.sequence, self.recent.values())

    def take(self) -> Piece:
        piece = _piece(self.sequence, self._fresh, self._skipped)
        self.discard()
        return piece

    def discard(self) -> None:
        self._fresh.clear()
        self._skipped = 0


def _piece(sequence: int, items: Collection[bytes], skipped: int = 0) -> Piece:
    return Piece(sequence, b",".join(items), True, len(items), skipped)


class Recent:
    """The newest items by key: those that are open, and the last `most` others."""

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
            _bound(self._open, _MOST_OPEN)
            return
        self._open.pop(key, None)
        self._closed[key] = value
        _bound(self._closed, self._most)

    def values(self) -> list[bytes]:
        """Return the items, newest last; those that are open come after the others."""
        return [*self._closed.values(), *self._open.values()]

    def open(self) -> list[bytes]:
        """Return those that are open."""
        return list(self._open.values())


def _bound(items: dict[str, bytes], most: int) -> None:
    if len(items) > most:
        del items[next(iter(items))]


class Channels:
    """All channels by name. `changed`: those that have changed since the last frame."""

    def __init__(self) -> None:
        self.by_name: dict[str, Channel] = {}
        self.changed: set[Channel] = set()
        self.on_new: Callable[[Channel], None] = lambda channel: None
        self.on_gone: Callable[[Channel], None] = lambda channel: None
        self._by_kind: defaultdict[str, dict[str, Channel]] = defaultdict(dict)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self.by_name.values())

    def of_kind(self, kind: str) -> list[Channel]:
        """Return the channels whose names begin with a kind, in the order of their names."""
        return [channel for _, channel in sorted(self._by_kind[kind].items())]

    def add(self, channel: Channel) -> None:
        self.by_name[channel.name] = self._by_kind[_kind(channel)][channel.name] = channel
        self.on_new(channel)

    def remove(self, channel: Channel) -> None:
        """Forget a channel: its instrument is gone."""
        del self.by_name[channel.name], self._by_kind[_kind(channel)][channel.name]
        self.changed.discard(channel)
        self.on_gone(channel)

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


def _kind(channel: Channel) -> str:
    return channel.name.partition(":")[0]
