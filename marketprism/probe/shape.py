"""The shape of a frame: which keys its JSON has, and which values those have that are names.

A shape is written as text, such as `arg{channel instId} data[]{px sz side=buy|sell count? bids[][4]}`:

- `name`: a key that is required; `name?`: one that may be missing, or be null;
- `name{…}`: an object; `name[]`: a list; `name[4]`: a list of four; a shape that begins with `[]` is a list itself;
- `name=a|b`: a value that is one of these names, as JSON writes it, without quotes.

Paths in findings collapse lists: `data[].px`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson

_TOKEN = re.compile(
    r"(?:(?P<close>\})|(?P<name>[\w.-]*)(?P<optional>\??)(?P<lists>(?:\[\d*\])*)(?:=(?P<values>[\w.|-]+)|(?P<open>\{))?)\s*"
)
_LIST = re.compile(r"\[(\d*)\]")
_MOST_FINDINGS = 50  # of one sort: keys may be names of instruments
_LONGEST = 60  # characters of a value or key that are repeated


@dataclass(frozen=True, slots=True)
class Shape:
    """Shape of a JSON value: an object of `fields`, a list of `items`, or else a plain value.

    `length`: of the list; 0: any. `values`: those that are known, if they are names.
    """

    fields: Mapping[str, "Shape"] = field(default_factory=dict)
    items: "Shape | None" = None
    length: int = 0
    values: frozenset[str] = frozenset()
    is_optional: bool = False


_PLAIN = Shape()


@dataclass
class Findings:
    """Paths that are not expected, paths that are missing, and values that are not known: `data[].side "hold"`."""

    unknown: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.unknown) + len(self.missing) + len(self.values)

    def all(self) -> set[str]:
        """Return the findings of all sorts."""
        return self.unknown | self.missing | self.values

    def add(self, other: "Findings") -> None:
        """Add the findings of another frame."""
        for mine, theirs in zip(self._sets(), other._sets(), strict=True):
            mine.update(sorted(theirs)[: max(_MOST_FINDINGS - len(mine), 0)])

    def _sets(self) -> tuple[set[str], set[str], set[str]]:
        return self.unknown, self.missing, self.values


@lru_cache(maxsize=1024)
def parse_shape(text: str) -> Shape:
    """Return the shape that a text describes. Raise `ValueError` if it is malformed."""
    fields = _fields(_tokens(text), is_nested=False)
    return fields[""] if [*fields] == [""] else Shape(fields=fields)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.end() == at:
            raise ValueError(f"not a shape, from {text[at:]!r} on: {text!r}")
        yield token
        at = token.end()


def _fields(tokens: Iterator[re.Match[str]], is_nested: bool) -> dict[str, Shape]:
    """Return the fields up to the brace that ends them, or to the end of the text."""
    fields: dict[str, Shape] = {}
    for token in tokens:
        if token["close"]:
            if not is_nested:
                raise ValueError(f"a brace is not opened: {token.string!r}")
            return fields
        name = token["name"]
        if name in fields or (not name and is_nested):
            raise ValueError(f"{name!r} appears twice, or without a name: {token.string!r}")
        fields[name] = _field(token, tokens)
    if is_nested:
        raise ValueError("a brace is not closed")
    return fields


def _field(token: re.Match[str], tokens: Iterator[re.Match[str]]) -> Shape:
    shape = _PLAIN
    if token["values"]:
        shape = Shape(values=frozenset(token["values"].split("|")))
    elif token["open"]:
        shape = Shape(fields=_fields(tokens, is_nested=True))
    for length in reversed(_LIST.findall(token["lists"])):
        shape = Shape(items=shape, length=int(length or 0))
    return replace(shape, is_optional=bool(token["optional"]))


def compare(shapes: tuple[Shape, ...], value: Any) -> Findings:
    """Return in what a frame differs from the shape that fits it best."""
    best: Findings | None = None
    for shape in shapes:
        findings = Findings()
        _compare(shape, value, "", findings)
        if not findings:
            return findings
        if best is None or len(findings) < len(best):
            best = findings
    return best or Findings()


def _compare(shape: Shape, value: Any, path: str, findings: Findings) -> None:
    if value is None:
        return
    if shape.items is not None:
        _compare_list(shape, shape.items, value, path, findings)
    elif shape.fields:
        _compare_object(shape, value, path, findings)
    elif type(value) is dict or type(value) is list:
        findings.unknown.add(f"{path or 'the frame'} is {'an object' if type(value) is dict else 'a list'}")
    elif shape.values and (text := _text(value)) not in shape.values:
        findings.values.add(f'{path} "{text[:_LONGEST]}"')


def _compare_list(shape: Shape, items: Shape, value: Any, path: str, findings: Findings) -> None:
    if type(value) is not list:
        findings.unknown.add(f"{path or 'the frame'} is no list")
        return
    if shape.length and len(value) != shape.length:
        findings.unknown.add(f"{path}[] has {len(value)} values instead of {shape.length}")
    if items == _PLAIN and not any(type(each) is dict or type(each) is list for each in value):
        return
    for each in value:
        _compare(items, each, f"{path}[]", findings)


def _compare_object(shape: Shape, value: Any, path: str, findings: Findings) -> None:
    if type(value) is not dict:
        findings.unknown.add(f"{path or 'the frame'} is no object")
        return
    start = f"{path}." if path else ""
    for name, each in shape.fields.items():
        if name in value:
            _compare(each, value[name], start + name, findings)
        elif not each.is_optional:
            findings.missing.add(start + name)
    for name in value.keys() - shape.fields.keys():
        findings.unknown.add(start + name[:_LONGEST])


def _text(value: Any) -> str:
    return value if type(value) is str else orjson.dumps(value).decode()
