"""Say what is wrong with the settings: where the value is written, what was rejected, and an example of a good one."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic.fields import FieldInfo

from schemas.passwords import masked
from schemas.suggestions import nearest

PREFIX = "MARKETPRISM_"
FILE = PREFIX + "FILE"  # the variable that names the settings file


def unknown_variables(fields: Collection[str]) -> Iterator[str]:
    """Report the variables of the environment that look like settings and are none."""
    known = [*(name.upper() for name in fields), FILE.removeprefix(PREFIX)]
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(PREFIX)
        if variable.upper().startswith(PREFIX) and name not in known:
            yield f"{variable}: there is no such setting{_meant(name, known, PREFIX)}"


def missing_file() -> Iterator[str]:
    """Report a settings file that the environment names and that is none."""
    path = Path(os.environ.get(FILE, ""))
    if os.environ.get(FILE) and path.is_dir():
        yield f"{FILE}: {path} is a directory: name a file in it"
    elif os.environ.get(FILE) and not path.is_file():
        others = [str(each) for each in path.parent.glob("*.toml")]
        yield f"{FILE}: there is no file {path}{_meant(str(path), others)}"


def explain(item: Mapping[str, Any], fields: Mapping[str, FieldInfo], overrides: Collection[str], file: Path) -> str:
    """Explain one error of pydantic's in a line. `overrides`: the settings that neither environment nor file gave."""
    name, *inner = (str(part) for part in item["loc"])
    variable = PREFIX + name.upper()
    in_environment = any(each.upper() == variable for each in os.environ)
    in_file = name not in overrides and not in_environment
    if name not in fields:
        return f"{file}, {name}: there is no such setting{_meant(name.upper().removeprefix(PREFIX).lower(), fields)}"
    example = example_of(fields[name])
    place = f"{file}, {name}" if in_file else name if name in overrides else variable
    reason = ": ".join((*inner, _reason(item)))
    shown = f"{name} = {as_toml(example)}" if in_file else as_variable(example)
    return f"{place}: {reason}{'' if reason.endswith('?') else '.'} Example: {shown}"


def _meant(name: str, known: Collection[str], prefix: str = "") -> str:
    near = nearest(name, known)
    return f": did you mean {prefix}{near}?" if near else ""


def example_of(field: FieldInfo) -> Any:
    """Return a good value of a setting: its example, or else its default."""
    return field.examples[0] if field.examples else field.get_default(call_default_factory=True)


def as_variable(value: Any) -> str:
    """Write a setting's value as in the environment."""
    if isinstance(value, list | tuple):
        return ",".join(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def as_toml(value: Any) -> str:
    """Write a setting's value as in the settings file."""
    return re.sub('":', '" = ', orjson.dumps(value).decode())


def _reason(item: Mapping[str, Any]) -> str:
    if own := item.get("ctx", {}).get("error"):
        return str(own)
    value = item["input"]
    rejected = repr(masked(value)) if isinstance(value, str) else masked(repr(value))
    return re.sub(r"^\w+ (?=should )", f"{rejected:.200} ", item["msg"])
