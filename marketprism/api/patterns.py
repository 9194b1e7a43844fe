"""Patterns of channel names, and the channels that match each of them."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple
from weakref import WeakValueDictionary

from marketprism.api.channels import Channel, Channels
from schemas.events import TABLES
from schemas.suggestions import unknown

# The first parts of all channel names.
CHANNEL_KINDS: tuple[str, ...] = tuple(sorted({*TABLES.values(), "compare", "depth", "feeds"}))

_PARTS = 4
_MAX_TEXT = 200  # characters
_WILD = frozenset("*?[")

Test = Callable[[str], bool]


class Pattern(NamedTuple):
    """Pattern `kind:symbol:exchange:detail`. `kind`: empty for several; `tests`: of the other parts, by their index."""

    kind: str
    tests: list[tuple[int, Test]]

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Return a pattern. Parts that are missing at the end match everything. Raise `ValueError` for other texts."""
        parts = text.split(":")
        if len(text) > _MAX_TEXT or len(parts) > _PARTS or not all(parts):
            raise ValueError(f"{text[:_MAX_TEXT]!r} is not a pattern: kind:symbol:exchange, each part may be *")
        kind = "" if _is_wild(parts[0]) else parts[0]
        if kind and kind not in CHANNEL_KINDS:
            raise ValueError(unknown("kind of channel", kind, CHANNEL_KINDS))
        return cls(kind, [(i, _test(part)) for i, part in enumerate(parts) if part != "*" and (i or not kind)])

    def takes(self, channel: Channel) -> bool:
        """Return whether a channel's name matches in every part."""
        parts = channel.name.split(":")
        if self.kind and parts[0] != self.kind:
            return False
        return all(test(parts[i] if i < len(parts) else "") for i, test in self.tests)


def _is_wild(part: str) -> bool:
    return not _WILD.isdisjoint(part)


def _test(part: str) -> Test:
    return partial(_matches, part) if _is_wild(part) else part.__eq__


def _matches(pattern: str, part: str) -> bool:
    return fnmatchcase(part, pattern)


class Match:
    """The channels that match one pattern."""

    __slots__ = ("__weakref__", "channels", "pattern")

    def __init__(self, pattern: Pattern, channels: Iterable[Channel]) -> None:
        self.pattern = pattern
        self.channels = {channel for channel in channels if pattern.takes(channel)}


class Matches:
    """The matches of all patterns in use. Each is made once, however many clients subscribe to it."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._by_text: WeakValueDictionary[str, Match] = WeakValueDictionary()

    def of(self, text: str) -> Match:
        """Return the match of a pattern, which grows with the channels as long as it is in use."""
        match = self._by_text.get(text)
        if match is None:
            pattern = Pattern.parse(text)
            channels = self._channels.of_kind(pattern.kind) if pattern.kind else self._channels
            match = self._by_text[text] = Match(pattern, channels)
        return match

    def add(self, channel: Channel) -> set[Match]:
        """Take a new channel. Return the matches that have it."""
        found = {match for match in self._by_text.values() if match.pattern.takes(channel)}
        for match in found:
            match.channels.add(channel)
        return found

    def remove(self, channel: Channel) -> None:
        """Forget a channel that is gone."""
        for match in self._by_text.values():
            match.channels.discard(channel)
