"""Parse and open the sources of a replay, FEED:FILE or FILE, so that no line is replayed twice."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from marketprism.captures.capture import Capture, open_capture
from schemas.errors import RawRecordError, SettingsError
from schemas.feeds import FEEDS, Feed, feed_named

ReplaySource = tuple[Feed | None, Path]  # None: all lines of a capture that names their feeds

_COMPARED = 1 << 20  # bytes at both ends of a file that are compared to recognise copies
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]+")  # what a feed name looks like; a single letter may be a drive


def parse_replay_source(text: str) -> ReplaySource:
    """Parse an argument. The text before the first colon is a feed if it names one; otherwise everything is a path.

    Raise `SettingsError` if the file does not exist, and `SymbolError` for an unknown feed.
    """
    name, colon, rest = text.partition(":")
    if colon and name.lower() in FEEDS:
        return feed_named(name), _existing(rest, text)
    if Path(text).is_file():
        return None, Path(text)
    if colon and _NAME.fullmatch(name) and Path(rest).is_file():
        feed_named(name)  # raises `SymbolError`
    return None, _existing(rest if colon and _NAME.fullmatch(name) else text, text)


def _existing(path: str, text: str) -> Path:
    if not path or not Path(path).is_file():
        raise SettingsError(
            f"there is no file {path!r} (in {text!r}): write FEED:FILE, such as binance-spot:capture.zst, "
            "or FILE for a file of `marketprism record`"
        )
    return Path(path)


def open_sources(sources: Sequence[ReplaySource]) -> list[Capture]:
    """Open each file once for all of its feeds. Raise `RawRecordError` if lines would be replayed twice."""
    files: dict[tuple[int, bytes], tuple[list[Path], list[Feed | None]]] = {}
    for feed, path in sources:
        paths, feeds = files.setdefault(_content(path), ([], []))
        paths.append(path)
        feeds.append(feed)
    for paths, feeds in files.values():
        _check_once(paths, feeds)
    return [open_capture([feed for feed in feeds if feed], paths[0]) for paths, feeds in files.values()]


def feeds_of(sources: Sequence[ReplaySource]) -> list[str]:
    """Return the feeds that are named, and those found at the beginning of captures without one."""
    return sorted({name for capture in open_sources(sources) for name in _feeds_of(capture)})


def _feeds_of(capture: Capture) -> Sequence[str]:
    return [feed.name for feed in capture.feeds] or capture.feeds_found


def _check_once(paths: list[Path], feeds: list[Feed | None]) -> None:
    names = Counter(feed.name if feed else "all feeds" for feed in feeds)
    [(name, times)] = names.most_common(1)
    if times == 1 and (None not in feeds or len(feeds) == 1):
        return
    files = " and ".join(dict.fromkeys(map(str, paths)))
    same = "contain the same lines" if len(set(paths)) > 1 else "is given more than once"
    raise RawRecordError(f"{files} {same}, so {name} would be replayed twice: name each feed once")


def _content(path: Path) -> tuple[int, bytes]:
    """Identify a file's content, to recognise copies, by its size and a hash of both ends."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _COMPARED))
            digest = hashlib.blake2b(file.read(_COMPARED))
            file.seek(0)
            digest.update(file.read(_COMPARED))
    except OSError as error:
        raise RawRecordError(f"cannot read {path}: {error.strerror or error}") from None
    return size, digest.digest()
