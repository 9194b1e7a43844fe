"""Read events back from their tables: what `sinks/tables.py` derives from the event models, in the other direction.

Decimals come without zeros at their end, as ClickHouse stores numbers, not texts.
"""

from collections.abc import Callable, Iterator
from functools import cache
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.events import Event
from schemas.fields import Exact, Level, MayBeEmpty, Time

Build = Callable[[Iterator[Any]], Any]


class _Part(NamedTuple):
    """One field: the expressions that are selected, and what makes its value of their cells."""

    expressions: list[str]
    build: Build


class StoredEvents(NamedTuple):
    """How events of one model are read. `columns`: what is selected; `exchanges`: the columns that name an exchange."""

    columns: str
    exchanges: tuple[str, ...]
    build: Build

    def event(self, row: list[Any]) -> dict[str, Any]:
        """Return the event of a row, whose cells are those of `columns`, and possibly more."""
        event: dict[str, Any] = self.build(iter(row))
        return event


@cache
def stored_events(model: type[Event]) -> StoredEvents:
    """Return how a model's events are read."""
    part = _model(model, ())
    return StoredEvents(", ".join(part.expressions), tuple(_exchanges(model)), part.build)


def _exchanges(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        if name == "exchange":
            yield prefix + name
        elif isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _exchanges(info.annotation, f"{prefix}{name}_")


def _model(model: type[BaseModel], parents: tuple[str, ...]) -> _Part:
    parts = {name: _field((*parents, name), info) for name, info in model.model_fields.items()}

    def build(cells: Iterator[Any]) -> dict[str, Any]:
        return {name: part.build(cells) for name, part in parts.items()}

    return _Part([each for part in parts.values() for each in part.expressions], build)


def _field(path: tuple[str, ...], info: FieldInfo) -> _Part:
    annotation = info.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _model(annotation, path)
    if get_origin(annotation) is list:
        return _list(path[0], get_args(annotation)[0])
    required = _required(info)
    column = "`" + "_".join(path) + "`"
    if Exact in required.metadata:
        return _Part([f"toString({column})"], next)
    if Time in required.metadata:
        return _Part([f"toUnixTimestamp64Micro({column})"], _converted(int))
    return _Part([column], _converted(required.annotation) if required.annotation in (int, float) else next)


def _list(name: str, item: Any) -> _Part:
    if item == Level:
        return _Part([f"arrayMap(each -> toString(each), `{name}.{part}`)" for part in ("price", "amount")], _levels)
    if MayBeEmpty in FieldInfo.from_annotation(item).metadata:
        return _Part([f"arrayMap(each -> ifNull(toString(each), ''), `{name}`)"], next)
    return _Part([f"`{name}`"], next)


def _required(info: FieldInfo) -> FieldInfo:
    types = get_args(info.annotation)
    return FieldInfo.from_annotation(types[0]) if len(types) == 2 and types[1] is NoneType else info


def _converted(kind: Any) -> Build:
    def build(cells: Iterator[Any]) -> Any:
        cell = next(cells)  # a text where the server quotes integers
        return None if cell is None else kind(cell)

    return build


def _levels(cells: Iterator[Any]) -> list[list[str]]:
    return [list(level) for level in zip(next(cells), next(cells), strict=True)]
