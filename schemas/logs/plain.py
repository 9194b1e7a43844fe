"""Turn what is logged into text that is free of Python's representations."""

import os
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import structlog

_LONGEST = 1000  # characters of a library's text

# What libraries have put into their texts already, and what is written instead.
_REPRESENTATIONS = (
    (re.compile(r"<(?:class ')?([\w.]+)(?:[^<>]|<[^<>]*>)*>"), r"\1"),
    (re.compile(r"\b(?:TopicPartition|TP)\(topic='([^']*)', partition=(\d+)\)"), r"\1-\2"),
    (re.compile(r"\b(?:frozenset|set|OrderedDict|deque)\([\[{(]*([^(){}\[\]]*)[\]})]*\)"), r"\1"),
    (re.compile(r"\('([\w.:-]+)', (\d+)(?:, \d+, \d+)?\)"), r"\1:\2"),  # an address
    (re.compile(r"\b(\w+(?:Error|Exception))\((?:(['\"])(.*?)\2)?,?\)"), r"\1 \3"),
)


def plain(value: Any) -> Any:
    """Return a value as text, a number, or lists and objects of those."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, BaseException):
        return error_text(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if hasattr(value, "topic") and hasattr(value, "partition"):
        return f"{value.topic}-{value.partition}"
    if isinstance(value, set | frozenset):
        return sorted(map(str, map(plain, value)))
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, type):
        return value.__name__
    has_text = any("__str__" in vars(each) for each in type(value).__mro__[:-1])  # other than that of `object`
    return str(value) if has_text else type(value).__name__


def error_text(error: BaseException) -> str:
    """Return what an error says, or the name of its class if it says nothing."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(error_text, error.exceptions))
    if isinstance(error, OSError) and error.errno and error.filename is None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)  # of a name that does not resolve
    return tidy(str(error)) or type(error).__name__


def tidy(text: str) -> str:
    """Return a library's text on one line, without representations of objects.

    What a server has sent may be in it: it is cut, and what is no Unicode is escaped, as it could not be written.
    """
    text = text[:_LONGEST].encode("utf-8", "backslashreplace").decode()
    for pattern, replacement in _REPRESENTATIONS:
        text = pattern.sub(replacement, text)
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def partition_names(partitions: Iterable[Any]) -> str:
    """Return the names of topic partitions, such as `market.quotes-0 market.trades-0,1,2`."""
    ordered = sorted((each.topic, each.partition) for each in partitions)
    by_topic = groupby(ordered, key=lambda each: each[0])
    return " ".join(f"{topic}-{','.join(str(number) for _, number in group)}" for topic, group in by_topic)


def plain_values(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Make every value of an event plain: a processor of structlog."""
    return {key: value if key.startswith(("_", "exc_info")) else plain(value) for key, value in event.items()}


def joined(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Write lists and objects as text: a processor of structlog, for lines that are not JSON."""
    return {key: value if key.startswith("exc_info") else _joined(value) for key, value in event.items()}


def _joined(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_joined(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(str(_joined(each)) for each in value)
    return value
