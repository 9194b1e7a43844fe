"""Write `marketprism/client/events.py` from the event models: `python -m marketprism.client.generate`."""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.events import EVENTS, Event
from schemas.fields import Exact, Level, MayBeEmpty, Micros, PlainDecimal, SignedDecimal, Source

PATH = Path(__file__).with_name("events.py")
_WIDTH = 120
_HEAD = '''"""The events as the client returns them. `make docs` writes this module from `schemas/events/`."""

from decimal import Decimal
from typing import ClassVar, Literal

from msgspec import Struct

from marketprism.client.level import Level
'''
# These describe the JSON, not the attribute.
_OF_TYPES = {FieldInfo.from_annotation(each).description for each in (PlainDecimal, SignedDecimal, Micros, Source)}


def rendered() -> str:
    """Return the module's text."""
    models: dict[str, type[BaseModel]] = {}
    for model in EVENTS.values():
        models |= {each.__name__: each for each in (*_nested(model), model)}
    return _HEAD + "".join("\n\n" + "\n".join(_class(model)) + "\n" for model in models.values())


def _nested(model: type[Event]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield field.annotation


def _class(model: type[BaseModel]) -> Iterator[str]:
    yield f"class {model.__name__}(Struct, frozen=True, gc=False, kw_only=True):"
    doc = (model.__doc__ or "").rstrip()
    yield f'    """{doc}' + ('\n    """' if "\n" in doc else '"""')
    yield ""
    if issubclass(model, Event):
        yield f'    topic_name: ClassVar[str] = "{model.topic_name}"'
        yield ""
    for name, field in model.model_fields.items():
        yield from _attribute(name, field)


def _attribute(name: str, field: FieldInfo) -> Iterator[str]:
    line = f"    {name}: {_type(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)}"
    if not field.is_required():
        line += f' = "{field.default}"' if isinstance(field.default, str) else f" = {field.default}"
    comment = f"  # {field.description}" if field.description not in {None, *_OF_TYPES} else ""
    if len(line) > _WIDTH:
        line = line.replace("[", "[\n        ", 1).replace(", ", ",\n        ").removesuffix("]") + ",\n    ]"
    if len(line + comment) <= _WIDTH:
        yield line + comment
    else:
        yield f"   {comment[1:]}"
        yield line


def _type(kind: Any) -> str:
    if kind == Level:
        return "Level"
    if kind is NoneType:
        return "None"
    arguments, origin = get_args(kind), get_origin(kind)
    if origin is Annotated:
        marks = arguments[1:]
        return "Decimal" if Exact in marks and MayBeEmpty not in marks else _type(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(map(_type, arguments))
    if origin is Literal:
        return "Literal[" + ", ".join(f'"{each}"' for each in arguments) + "]"
    if origin is list:
        return f"list[{_type(arguments[0])}]"
    return str(kind.__name__)


if __name__ == "__main__":
    PATH.write_text(rendered(), "utf-8")
